//! Configurations of embedded servers from keys alone.

use crate::base::{Error, ErrorKind, Result};
use crate::config::broker::EMBEDDED_KEYS;
use crate::config::{
    BrokerConfig, Environment, NamesrvConfig, Properties, ServerSettings, Warning,
};

/// Loopback and a free port.
const LISTENER: [(&str, &str); 2] = [("bindAddress", "127.0.0.1"), ("listenPort", "0")];
/// One thread and no files.
const NAMESERVER: [(&str, &str); 3] = [
    ("rmq.reactorThreads", "1"),
    ("kvConfigPath", ""),
    ("configStorePath", ""),
];
const BROKER: [(&str, &str); 4] = [
    ("brokerIP1", "127.0.0.1"),
    ("brokerIP2", "127.0.0.1"),
    ("namesrvAddr", ""),
    ("cleanFileForciblyEnable", "false"),
];

/// A nameserver's configuration: `keys`, Apache's, over the embedded defaults (loopback, a free
/// port, no files). `Invalid`: a key is unknown, or a value is not allowed.
pub fn nameserver_config(keys: &Properties) -> Result<NamesrvConfig> {
    let mut base = Properties::new("embedded defaults");
    base.extend(LISTENER.into_iter().chain(NAMESERVER));
    load("start nameserver", &base, keys)
}

/// A broker's configuration: `keys`, Apache's, over the embedded defaults (loopback, free ports,
/// small files, no file deleted before its time because the disk is full). `root_dir` is where it
/// stores unless `keys` has a `storePathRootDir`. `Invalid` as for nameservers.
pub fn broker_config(keys: &Properties, root_dir: &str) -> Result<BrokerConfig> {
    let mut base = Properties::new("embedded defaults");
    base.extend(LISTENER.into_iter().chain(EMBEDDED_KEYS).chain(BROKER));
    base.set("storePathRootDir", root_dir);
    load("start broker", &base, keys)
}

/// A nameserver's configuration as the command `mqnamesrv` makes it: `keys` over Apache's own
/// defaults. A key that is unknown is a warning, as files have keys of other releases.
pub fn standalone_nameserver_config(keys: &Properties) -> Result<(NamesrvConfig, Vec<Warning>)> {
    NamesrvConfig::load(&Environment::of_process(), &[keys])
}

/// A broker's configuration as the command `mqbroker` makes it, with the same care.
pub fn standalone_broker_config(keys: &Properties) -> Result<(BrokerConfig, Vec<Warning>)> {
    BrokerConfig::load(&Environment::of_process(), &[keys])
}

fn load<C: ServerSettings>(op: &'static str, base: &Properties, keys: &Properties) -> Result<C> {
    let (config, warnings) = C::load(&Environment::of_process(), &[base, keys])?;
    let Some(warning) = warnings.first() else {
        return Ok(config);
    };
    // In a file an unknown key may be Apache's or tomorrow's; in a program it is a slip.
    let mut context = format!("{}: there is no key {}", warning.position, warning.key);
    if let Some(meant) = warning.meant {
        context.push_str(&format!(" (did you mean {meant}?)"));
    }
    Err(Error::new(ErrorKind::Invalid, op, context))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> Properties {
        let mut keys = Properties::new("test");
        keys.extend(pairs.iter().copied());
        keys
    }

    #[test]
    fn without_keys_the_embedded_defaults_hold() {
        let made = nameserver_config(&keys(&[])).unwrap();
        let wanted = NamesrvConfig::embedded_defaults();
        assert_eq!(made.to_properties(), wanted.to_properties());
        let made = broker_config(&keys(&[("cleanFileForciblyEnable", "true")]), "/x").unwrap();
        let wanted = BrokerConfig::embedded_defaults("/x");
        assert_eq!(made.to_properties(), wanted.to_properties());
    }

    #[test]
    fn unknown_keys_are_told_with_what_may_be_meant() {
        let error = broker_config(&keys(&[("brokerNam", "a")]), "/x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(
            text.contains("brokerNam (did you mean brokerName?)"),
            "{text}"
        );
        let error = nameserver_config(&keys(&[("listenPort", "70000")])).unwrap_err();
        assert!(error.to_string().contains("listenPort=70000"), "{error}");
    }
}
