//! A nameserver's and a broker's traffic through this process, with what clients ask noted.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rmq_core::base::thread;
use rmq_core::protocol::command::Command;

use crate::peer::try_receive;

/// What clients asked, in its order.
pub(crate) type Asked = Arc<Mutex<Vec<Command>>>;

/// Relays that end with the test's process.
pub(crate) struct Relay {
    /// In the nameserver's place: routes that it tells lead to the broker's relay.
    pub(crate) nameserver: String,
    pub(crate) asked: Asked,
}

impl Relay {
    pub(crate) fn start(nameserver: &str, broker: &str) -> Self {
        let asked = Asked::default();
        let in_place = listen(broker, &asked, (String::new(), String::new()));
        let nameserver = listen(nameserver, &asked, (broker.to_owned(), in_place));
        Self { nameserver, asked }
    }
}

/// The address of a relay to `server`, which tells `renamed.1` where the server tells `renamed.0`.
fn listen(server: &str, asked: &Asked, renamed: (String, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (server, asked) = (server.to_owned(), Arc::clone(asked));
    let serving = thread::spawn("test-relay", move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let (to_client, to_server) = (client.try_clone(), server.try_clone());
            let asked = Arc::clone(&asked);
            let renamed = renamed.clone();
            let note = move |request: &mut Command| {
                if !request.is_response() {
                    asked.lock().unwrap().push(request.clone());
                }
            };
            let rename = move |answer: &mut Command| {
                if !renamed.0.is_empty() {
                    let text = String::from_utf8_lossy(&answer.body);
                    answer.body = text.replace(&renamed.0, &renamed.1).into();
                }
            };
            pass(client, to_server.unwrap(), note);
            pass(server, to_client.unwrap(), rename);
        }
    });
    drop(serving.unwrap());
    address
}

/// Passes frames on until one side closes, which closes both.
fn pass(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&mut Command) + Send + 'static) {
    let passing = thread::spawn("test-relay", move || {
        while let Ok(mut command) = try_receive(&mut from) {
            look(&mut command);
            if to.write_all(&command.to_bytes()).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    drop(passing.unwrap());
}
