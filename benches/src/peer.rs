//! Blocking calls to one server, for what comes before and after a measurement.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rmq_core::base::error::{Error, ErrorKind, Result};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::{self, LIMIT_DEFAULT};

const TIMEOUT: Duration = Duration::from_secs(10);

/// One connection that waits for each answer.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    opaque: i32,
}

/// The addresses of a host and port.
///
/// # Errors
/// When the name does not resolve.
pub fn resolve(address: &str) -> Result<SocketAddr> {
    let mut found = address
        .to_socket_addrs()
        .map_err(|e| Error::io("resolve", address, e))?;
    found
        .next()
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "resolve", address))
}

impl Peer {
    /// Connects within ten seconds.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let io = |e| Error::io("connect", address.to_string(), e);
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(io)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(io)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            opaque: 0,
        })
    }

    /// Sends a request of these fields and returns its answer, whatever its code.
    ///
    /// # Errors
    /// When the connection breaks, nothing comes within ten seconds, or it is no answer.
    pub fn call(&mut self, code: RequestCode, fields: &[(&'static str, &str)]) -> Result<Command> {
        let mut request = Command::bare_request(code);
        self.opaque += 1;
        request.opaque = self.opaque;
        for (key, value) in fields {
            request.ext.insert(*key, *value);
        }
        let io = |e| Error::io("call", code.to_string(), e);
        self.stream.write_all(&request.to_bytes()).map_err(io)?;
        loop {
            let answer = self.receive(code)?;
            if answer.is_response() && answer.opaque == self.opaque {
                return Ok(answer);
            }
        }
    }

    /// As `call`, but an answer other than success is an error.
    ///
    /// # Errors
    /// As `call`, and when the server refuses.
    pub fn must(&mut self, code: RequestCode, fields: &[(&'static str, &str)]) -> Result<Command> {
        let answer = self.call(code, fields)?;
        if answer.response_code() == ResponseCode::SUCCESS {
            return Ok(answer);
        }
        let remark = answer.remark.unwrap_or_default();
        let context = format!(
            "{code} was answered {}: {remark}",
            ResponseCode::new(answer.code)
        );
        Err(Error::new(ErrorKind::Remote(answer.code), "call", context))
    }

    fn receive(&mut self, code: RequestCode) -> Result<Command> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Corrupt, "call", format!("answer to {code}: {e}"))
        };
        loop {
            let next = frame::next_frame(&self.buffer, LIMIT_DEFAULT).map_err(|e| bad(&e))?;
            if let Some((frame, used)) = next {
                let command = Command::decode(frame).map_err(|e| bad(&e))?;
                self.buffer.drain(..used);
                return Ok(command);
            }
            let mut chunk = [0; 16 * 1024];
            let n = self
                .stream
                .read(&mut chunk)
                .map_err(|e| Error::io("call", code.to_string(), e))?;
            if n == 0 {
                return Err(Error::new(ErrorKind::Unreachable, "call", code.to_string()));
            }
            self.buffer.extend_from_slice(&chunk[..n]);
        }
    }

    /// Creates a topic, or sets its number of queues.
    ///
    /// # Errors
    /// As `must`.
    pub fn create_topic(&mut self, topic: &str, queues: u32) -> Result<()> {
        let queues = queues.to_string();
        self.must(
            RequestCode::UPDATE_AND_CREATE_TOPIC,
            &[
                ("topic", topic),
                ("defaultTopic", "TBW102"),
                ("readQueueNums", &queues),
                ("writeQueueNums", &queues),
                ("perm", "6"),
                ("topicFilterType", "SINGLE_TAG"),
                ("topicSysFlag", "0"),
                ("order", "false"),
            ],
        )?;
        Ok(())
    }

    /// The first and the next offset of a queue.
    ///
    /// # Errors
    /// As `must`, and when an answer has no number.
    pub fn offsets(&mut self, topic: &str, queue: u32) -> Result<(i64, i64)> {
        let queue = queue.to_string();
        let fields = [("topic", topic), ("queueId", queue.as_str())];
        let mut read = |code| {
            let answer = self.must(code, &fields)?;
            let offset = answer
                .ext
                .get("offset")
                .and_then(|offset| offset.parse().ok());
            offset.ok_or_else(|| Error::new(ErrorKind::Corrupt, "offsets", "no offset"))
        };
        Ok((
            read(RequestCode::GET_MIN_OFFSET)?,
            read(RequestCode::GET_MAX_OFFSET)?,
        ))
    }

    /// The addresses of the masters that this nameserver knows.
    ///
    /// # Errors
    /// As `must`, and when no broker is registered.
    pub fn masters(&mut self) -> Result<Vec<SocketAddr>> {
        let answer = self.must(
            RequestCode::GET_BROKER_CLUSTER_INFO,
            // Without it, Apache's nameserver leaves the broker ids unquoted.
            &[("acceptStandardJsonOnly", "true")],
        )?;
        let text = String::from_utf8_lossy(&answer.body);
        let mut masters: Vec<SocketAddr> = master_addresses(&text)
            .iter()
            .map(|address| resolve(address))
            .collect::<Result<_>>()?;
        masters.sort_unstable();
        masters.dedup();
        if masters.is_empty() {
            let context = "no master is registered with the nameserver";
            return Err(Error::new(ErrorKind::NotFound, "masters", context));
        }
        Ok(masters)
    }
}

/// The addresses of brokers with the id 0 in a cluster info body, its ids quoted or not.
fn master_addresses(body: &str) -> Vec<String> {
    let quoted = body.split("\"brokerAddrs\":{").skip(1);
    let mut found = Vec::new();
    for addresses in quoted {
        let addresses = addresses.split('}').next().unwrap_or_default();
        for entry in addresses.split(',') {
            let Some((id, address)) = entry.split_once(':') else {
                continue;
            };
            if id.trim().trim_matches('"') == "0" {
                found.push(address.trim().trim_matches('"').to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::master_addresses;

    #[test]
    fn masters_are_found_with_quoted_and_bare_ids() {
        let bare = r#"{"brokerAddrTable":{"a":{"brokerAddrs":{0:"1.2.3.4:10911",1:"1.2.3.5:1"},
            "brokerName":"a"},"b":{"brokerAddrs":{0:"1.2.3.6:10911"}}}}"#;
        assert_eq!(master_addresses(bare), ["1.2.3.4:10911", "1.2.3.6:10911"]);
        let quoted = r#"{"a":{"brokerAddrs":{"0":"127.0.0.1:7","2":"127.0.0.1:8"}}}"#;
        assert_eq!(master_addresses(quoted), ["127.0.0.1:7"]);
        assert!(master_addresses("{}").is_empty());
    }
}
