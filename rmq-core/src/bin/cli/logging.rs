//! Logs of the commands: to standard error, or to files that roll over every day.

use std::path::Path;

use rmq_core::config::Warning;
use rmq_core::config::server::{LogLevel, ServerConfig};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;

/// Days of logs that are kept.
const FILES_KEPT: usize = 10;

/// Where logs go. Files get what is left when it is dropped.
pub(crate) struct Log {
    files: Option<WorkerGuard>,
}

impl Log {
    /// Sends logs of the configured level and above to `rmq.logDir/NAME.DATE.log`, or to standard
    /// error without a folder.
    pub(crate) fn start(server: &ServerConfig, name: &str) -> Result<Self, String> {
        let level = match server.log_level {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let builder = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false);
        let Some(dir) = server.log_dir.as_deref().filter(|dir| !dir.is_empty()) else {
            builder.with_writer(std::io::stderr).init();
            return Ok(Self { files: None });
        };
        let refused = |error: &dyn std::fmt::Display| format!("rmq.logDir={dir}: {error}");
        std::fs::create_dir_all(Path::new(dir)).map_err(|error| refused(&error))?;
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(name)
            .filename_suffix("log")
            .max_log_files(FILES_KEPT)
            .build(dir)
            .map_err(|error| refused(&error))?;
        let (writer, guard) = tracing_appender::non_blocking(appender);
        builder.with_writer(writer).init();
        Ok(Self { files: Some(guard) })
    }

    /// Notes in log files what standard error was told of the configuration.
    pub(crate) fn keep_warnings(&self, warnings: &[Warning]) {
        for warning in warnings.iter().filter(|_| self.files.is_some()) {
            tracing::warn!("{warning}");
        }
    }

    /// Notes in log files why the command fails, which standard error is told too.
    pub(crate) fn keep_failure(&self, outcome: Result<(), String>) -> Result<(), String> {
        if let (Some(_), Err(cause)) = (&self.files, &outcome) {
            tracing::error!("{cause}");
        }
        outcome
    }
}
