//! Nameservers and brokers in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi_derive::napi;
use rmq_core::embed::{
    Broker, NameServer, Properties, Result, Storage, broker_config, nameserver_config,
};

use crate::hub::Hub;

/// Keys and values as JavaScript gave them.
pub(crate) fn properties(keys: HashMap<String, String>) -> Properties {
    let mut properties = Properties::new("configuration");
    for (key, value) in &keys {
        properties.set(key, value.as_str());
    }
    properties
}

pub(crate) fn millis(ms: f64) -> Duration {
    // JavaScript checked that it is a number from 0 to 2^53.
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX)
}

/// A running nameserver.
#[napi]
pub struct NativeNameServer {
    inner: Arc<NameServer>,
}

/// Starts a nameserver.
#[napi]
pub fn start_name_server(hub: &Hub, id: u32, keys: HashMap<String, String>) {
    hub.sender().run(id, move || {
        let inner = NameServer::start(nameserver_config(&properties(keys))?)?;
        Ok(NativeNameServer {
            inner: Arc::new(inner),
        })
    });
}

#[napi]
impl NativeNameServer {
    /// Where it listens: host:port.
    #[napi(getter)]
    pub fn address(&self) -> String {
        self.inner.address().to_string()
    }

    /// Stops it cleanly.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.close(millis(timeout_ms))
        });
    }

    /// Stops it as a crash would.
    #[napi]
    pub fn kill(&self, hub: &Hub, id: u32) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.kill();
            Ok(())
        });
    }
}

struct Served {
    broker: Broker,
    // Goes after the broker that stores there.
    storage: Mutex<Option<Storage>>,
}

impl Served {
    fn close(&self, deadline: Duration) -> Result<()> {
        self.broker.close(deadline)?;
        self.remove_storage();
        Ok(())
    }

    fn kill(&self) {
        self.broker.kill();
        self.remove_storage();
    }

    fn remove_storage(&self) {
        let mut storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.take();
    }
}

/// A running broker.
#[napi]
pub struct NativeBroker {
    inner: Arc<Served>,
}

/// Starts a broker. Without a key storePathRootDir it stores in memory or in a temporary folder.
#[napi]
pub fn start_broker(hub: &Hub, id: u32, keys: HashMap<String, String>, in_memory: bool) {
    hub.sender().run(id, move || {
        Ok(NativeBroker {
            inner: serve(keys, in_memory)?,
        })
    });
}

fn serve(keys: HashMap<String, String>, in_memory: bool) -> Result<Arc<Served>> {
    let storage = match (keys.contains_key("storePathRootDir"), in_memory) {
        (true, _) => None,
        (false, true) => Some(Storage::in_memory()?),
        (false, false) => Some(Storage::temporary()?),
    };
    let folder = storage
        .as_ref()
        .map(|storage| storage.path().display().to_string());
    let config = broker_config(&properties(keys), &folder.unwrap_or_default())?;
    Ok(Arc::new(Served {
        broker: Broker::start(config)?,
        storage: Mutex::new(storage),
    }))
}

#[napi]
impl NativeBroker {
    /// Where it listens: host:port.
    #[napi(getter)]
    pub fn address(&self) -> String {
        self.inner.broker.address().to_string()
    }

    /// Its name.
    #[napi(getter)]
    pub fn name(&self) -> String {
        self.inner.broker.name()
    }

    /// Stops it cleanly.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.close(millis(timeout_ms))
        });
    }

    /// Stops it as a crash would.
    #[napi]
    pub fn kill(&self, hub: &Hub, id: u32) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.kill();
            Ok(())
        });
    }

    /// Stops it as a crash would, before this returns: for the end of the process.
    #[napi]
    pub fn kill_now(&self) {
        self.inner.kill();
    }
}
