//! `mqbroker`: a broker as a process, with Apache's options and boot line.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cli::logging::Log;
use rmq_core::config::{BrokerConfig, Environment, Properties, ServerSettings, Warning};
use rmq_core::embed::Broker;

const NAME: &str = "mqbroker";

/// A RocketMQ broker.
#[derive(Parser, Debug)]
#[command(name = NAME, version)]
struct Options {
    /// Configuration file in Java's properties format
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Nameservers, host:port separated by semicolons; wins over the file
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRESSES")]
    namesrv_addr: Option<String>,
    /// Print every configuration item and end
    #[arg(short = 'p', long = "printConfigItem")]
    print: bool,
    /// Print the important configuration items and end
    #[arg(short = 'm', long = "printImportantConfig")]
    print_important: bool,
}

fn load(options: &Options) -> Result<(BrokerConfig, Vec<Warning>), String> {
    let mut layers = Vec::new();
    if let Some(path) = &options.config_file {
        let mut file = cli::read_properties(path)?;
        file.set("brokerConfigPath", path.display().to_string());
        layers.push(file);
    }
    if let Some(addresses) = &options.namesrv_addr {
        let mut line = Properties::new("command line");
        line.set("namesrvAddr", addresses.as_str());
        layers.push(line);
    }
    let layers: Vec<&Properties> = layers.iter().collect();
    BrokerConfig::load(&Environment::of_process(), &layers).map_err(|error| error.to_string())
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
    if options.print || options.print_important {
        cli::print_items(&config, options.print_important);
        return Ok(());
    }
    let log = Log::start(&config.server, "broker")?;
    log.keep_warnings(&warnings);
    log.keep_failure(serve(config))
}

/// Runs a broker until a signal ends it.
fn serve(config: BrokerConfig) -> Result<(), String> {
    cli::raise_open_files();
    let mut signals = cli::stop_signals()?;
    let deadline = cli::stop_deadline(&config.server);
    let nameservers = config.namesrv_addr.join(";");
    let broker = Broker::start(config).map_err(|error| error.to_string())?;
    let suffix = match nameservers.as_str() {
        "" => String::new(),
        addresses => format!(" and name server is {addresses}"),
    };
    cli::say(format_args!(
        "The broker[{}, {}] boot success. serializeType=JSON{suffix}",
        broker.name(),
        broker.address()
    ));
    cli::wait_for(&mut signals);
    broker.close(deadline).map_err(|error| error.to_string())?;
    tracing::info!("stopped");
    Ok(())
}
