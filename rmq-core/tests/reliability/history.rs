//! What happened: every request to send with its answer, every delivery, and what lies in the logs
//! in the end. The clients write it as lines of text.
//!
//! A message is `CLIENT.PRODUCER.NUMBER`, a blank, and as many `x` as its number says, so that a
//! body says by itself which message it is and whether it was changed.

use std::collections::BTreeMap;
use std::fmt;

/// Microseconds since the Unix epoch; all processes of a run share the clock of one machine.
pub(crate) type Micros = i64;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) client: u16,
    pub(crate) producer: u16,
    pub(crate) number: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.client, self.producer, self.number)
    }
}

impl Id {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let id = Self {
            client: parts.next()?.parse().ok()?,
            producer: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(id)
    }

    pub(crate) fn body(&self) -> String {
        let padding = self.number % 97 * 13;
        format!("{self} {}", "x".repeat(padding as usize))
    }

    /// The message that this is the body of; `None` for a body that no client made.
    pub(crate) fn of_body(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let (name, _) = text.split_once(' ')?;
        Self::parse(name).filter(|id| id.body() == text)
    }
}

/// A queue of a broker; brokers are numbered, `broker-a` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Queue {
    pub(crate) broker: u8,
    pub(crate) queue: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) queue: Queue,
    pub(crate) offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broker = char::from(b'a' + self.queue.broker);
        write!(f, "broker-{broker}/{}@{}", self.queue.queue, self.offset)
    }
}

/// How safe an answered message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Ok,
    FlushDiskTimeout,
    FlushSlaveTimeout,
    SlaveNotAvailable,
}

impl Status {
    /// By the name that the Java client has for it.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "SEND_OK" => Self::Ok,
            "FLUSH_DISK_TIMEOUT" => Self::FlushDiskTimeout,
            "FLUSH_SLAVE_TIMEOUT" => Self::FlushSlaveTimeout,
            "SLAVE_NOT_AVAILABLE" => Self::SlaveNotAvailable,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Stored {
        status: Status,
        place: Place,
        /// In the log of the broker.
        physical: i64,
    },
    /// Not stored.
    Refused,
    /// No answer: stored or not.
    Unknown,
}

/// One request that carried a message; a client may send a message several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) id: Id,
    pub(crate) start: Micros,
    pub(crate) end: Micros,
    pub(crate) answer: Answer,
}

/// One consumer of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Consumer {
    pub(crate) group: u16,
    pub(crate) member: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) at: Micros,
    pub(crate) consumer: Consumer,
    pub(crate) id: Id,
    pub(crate) place: Place,
}

/// A message in a log, as it was found in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) offset: i64,
    pub(crate) physical: i64,
    pub(crate) id: Id,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) attempts: Vec<Attempt>,
    /// Those of one consumer in the order in which it was given them.
    pub(crate) deliveries: Vec<Delivery>,
    /// What was delivered or found that no client made.
    pub(crate) foreign: Vec<String>,
    /// Each queue in the order of its offsets.
    pub(crate) log: BTreeMap<Queue, Vec<Entry>>,
    /// The groups that consume, each of them everything.
    pub(crate) groups: Vec<u16>,
}

impl History {
    /// Adds a line that a client wrote:
    ///
    /// - `S START END ID BROKER QUEUE OFFSET PHYSICAL STATUS`: answered with a place
    /// - `R START END ID CODE`: answered with an error
    /// - `U START END ID CAUSE`: not answered
    /// - `D AT GROUP MEMBER ID BROKER QUEUE OFFSET`: delivered
    /// - `X AT GROUP MEMBER TEXT`: delivered, but no body of a message
    pub(crate) fn add(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let added = match kind {
            "S" | "R" | "U" => attempt(kind, &mut words).map(|one| self.attempts.push(one)),
            "D" => delivery(&mut words).map(|one| self.deliveries.push(one)),
            "X" => {
                self.foreign.push(line.to_owned());
                Some(())
            }
            _ => None,
        };
        added.ok_or_else(|| format!("no line of a history: {line}"))
    }
}

type Words<'a> = std::str::Split<'a, char>;

fn number<T: std::str::FromStr>(words: &mut Words<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn place(words: &mut Words<'_>) -> Option<Place> {
    let letter = words.next()?.strip_prefix("broker-")?.bytes().next()?;
    let queue = Queue {
        broker: letter.checked_sub(b'a')?,
        queue: number(words)?,
    };
    let offset = number(words)?;
    Some(Place { queue, offset })
}

fn attempt(kind: &str, words: &mut Words<'_>) -> Option<Attempt> {
    let start = number(words)?;
    let end = number(words)?;
    let id = Id::parse(words.next()?)?;
    let answer = match kind {
        "R" => Answer::Refused,
        "U" => Answer::Unknown,
        _ => Answer::Stored {
            place: place(words)?,
            physical: number(words)?,
            status: Status::parse(words.next()?)?,
        },
    };
    Some(Attempt {
        id,
        start,
        end,
        answer,
    })
}

fn delivery(words: &mut Words<'_>) -> Option<Delivery> {
    Some(Delivery {
        at: number(words)?,
        consumer: Consumer {
            group: number(words)?,
            member: number(words)?,
        },
        id: Id::parse(words.next()?)?,
        place: place(words)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_tells_which_message_it_is() {
        let id = Id {
            client: 1,
            producer: 2,
            number: 7,
        };
        let body = id.body();
        assert_eq!(body.len(), "1.2.7 ".len() + 7 * 13);
        assert_eq!(Id::of_body(body.as_bytes()), Some(id));
        assert_eq!(Id::of_body(&body.as_bytes()[..10]), None);
        assert_eq!(Id::of_body(body.replacen("7", "8", 1).as_bytes()), None);
        assert_eq!(Id::of_body(b"1.2.3.4 "), None);
        assert_eq!(Id::of_body(b"\xff"), None);
    }

    #[test]
    fn lines_of_clients_are_read() {
        let mut history = History::default();
        let place = Place {
            queue: Queue {
                broker: 1,
                queue: 3,
            },
            offset: 40,
        };
        for line in [
            "S 10 12 1.2.3 broker-b 3 40 5000 FLUSH_SLAVE_TIMEOUT",
            "R 10 12 1.2.3 2",
            "U 10 12 1.2.3 timeout",
            "D 15 2 1 1.2.3 broker-b 3 40",
            "X 16 2 1 broker-b/3@41 what is this",
        ] {
            history.add(line).unwrap();
        }
        let answers: Vec<Answer> = history.attempts.iter().map(|one| one.answer).collect();
        let stored = Answer::Stored {
            status: Status::FlushSlaveTimeout,
            place,
            physical: 5000,
        };
        assert_eq!(answers, [stored, Answer::Refused, Answer::Unknown]);
        assert_eq!(history.deliveries[0].place, place);
        assert_eq!(history.deliveries[0].consumer.member, 1);
        assert_eq!(history.foreign.len(), 1);
        history.add("S 10 12 1.2.3 broker-b 3 40 50").unwrap_err();
        history.add("").unwrap_err();
        assert_eq!(place.to_string(), "broker-b/3@40");
    }
}
