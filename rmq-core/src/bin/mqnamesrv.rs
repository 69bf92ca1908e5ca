//! `mqnamesrv`: a nameserver as a process, with Apache's options and boot line.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cli::logging::Log;
use rmq_core::config::{Environment, NamesrvConfig, Properties, ServerSettings, Warning};
use rmq_core::embed::NameServer;

const NAME: &str = "mqnamesrv";

/// A RocketMQ nameserver.
#[derive(Parser, Debug)]
#[command(name = NAME, version)]
struct Options {
    /// Configuration file in Java's properties format
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Accepted as Apache accepts it; a nameserver has no use for it
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRESSES")]
    namesrv_addr: Option<String>,
    /// Print every configuration item and end
    #[arg(short = 'p', long = "printConfigItem")]
    print: bool,
}

fn load(options: &Options) -> Result<(NamesrvConfig, Vec<Warning>), String> {
    let file = options
        .config_file
        .as_deref()
        .map(cli::read_properties)
        .transpose()?;
    let layers: Vec<&Properties> = file.iter().collect();
    NamesrvConfig::load(&Environment::of_process(), &layers).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => cli::fail(NAME, cause),
    }
}

fn run(options: &Options) -> Result<(), String> {
    let (config, warnings) = load(options)?;
    cli::tell_warnings(NAME, &warnings);
    if options.print {
        cli::print_items(&config, false);
        return Ok(());
    }
    if let Some(path) = &options.config_file {
        cli::say(format_args!(
            "load config properties file OK, {}",
            path.display()
        ));
    }
    let log = Log::start(&config.server, "namesrv")?;
    log.keep_warnings(&warnings);
    log.keep_failure(serve(config))
}

/// Runs a nameserver until a signal ends it.
fn serve(config: NamesrvConfig) -> Result<(), String> {
    cli::raise_open_files();
    let mut signals = cli::stop_signals()?;
    let deadline = cli::stop_deadline(&config.server);
    let bind_address = config.server.bind_address.clone();
    let namesrv = NameServer::start(config).map_err(|error| error.to_string())?;
    cli::say(format_args!(
        "The Name Server boot success. serializeType=JSON, address {bind_address}:{}",
        namesrv.port()
    ));
    cli::wait_for(&mut signals);
    namesrv.close(deadline).map_err(|error| error.to_string())?;
    tracing::info!("stopped");
    Ok(())
}
