//! What the requests are, and what their answers say.

use rmq_core::base::error::Result;
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::frame::{FrameRef, Serialize};

use super::frames::{Decimal, SendKind, Template, append_pull, count_messages};
use super::{Operation, Plan};
use crate::peer::Peer;

pub(super) enum Work {
    Send {
        templates: Vec<Template>,
        messages: u64,
        next: usize,
        unique: u32,
        body: u64,
    },
    Pull(Pull),
}

/// Where the next pull of each queue begins.
pub(super) struct Pull {
    topic: String,
    serialize: Serialize,
    count: u32,
    queues: Vec<Cursor>,
    next: usize,
}

struct Cursor {
    queue: u32,
    first: i64,
    end: i64,
    at: i64,
}

impl Work {
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        let kind = match plan.operation {
            Operation::Send(kind) => kind,
            Operation::Pull(count) => return Pull::new(plan, count).map(Self::Pull),
        };
        let template = |queue| Template::send(kind, plan.serialize, &plan.topic, queue, plan.body);
        let messages = match kind {
            SendKind::Batch(count) => u64::from(count),
            SendKind::V1 | SendKind::V2 => 1,
        };
        Ok(Self::Send {
            templates: (0..plan.queues).map(template).collect(),
            messages,
            next: 0,
            unique: 0,
            body: plan.body as u64 * messages,
        })
    }

    /// Appends the next request; the number returned comes back with its answer.
    pub(super) fn append(&mut self, out: &mut Vec<u8>, opaque: i32, now: &Decimal) -> u32 {
        match self {
            Self::Send {
                templates,
                next,
                unique,
                ..
            } => {
                templates[*next].append(out, opaque, now, unique);
                *next = (*next + 1) % templates.len();
                0
            }
            Self::Pull(pull) => pull.append(out, opaque),
        }
    }

    /// Messages and body bytes that an answer stands for; `None` when it is a refusal.
    pub(super) fn answered(
        &mut self,
        tag: u32,
        code: ResponseCode,
        frame: FrameRef<'_>,
    ) -> Option<(u64, u64)> {
        match self {
            Self::Send { messages, body, .. } => {
                (code == ResponseCode::SUCCESS).then_some((*messages, *body))
            }
            Self::Pull(pull) => pull.answered(tag, code, frame.body),
        }
    }
}

impl Pull {
    fn new(plan: &Plan, count: u32) -> Result<Self> {
        let mut peer = Peer::connect(plan.brokers[0])?;
        let mut queues = Vec::new();
        for queue in 0..plan.queues {
            let (first, end) = peer.offsets(&plan.topic, queue)?;
            queues.push(Cursor {
                queue,
                first,
                end,
                at: first,
            });
        }
        Ok(Self {
            topic: plan.topic.clone(),
            serialize: plan.serialize,
            count,
            queues,
            next: 0,
        })
    }

    fn append(&mut self, out: &mut Vec<u8>, opaque: i32) -> u32 {
        let index = self.next;
        self.next = (index + 1) % self.queues.len();
        let cursor = &mut self.queues[index];
        append_pull(
            out,
            self.serialize,
            opaque,
            (&self.topic, cursor.queue),
            cursor.at,
            self.count,
        );
        cursor.at += i64::from(self.count);
        if cursor.at + i64::from(self.count) > cursor.end {
            cursor.at = cursor.first;
        }
        u32::try_from(index).unwrap_or_default()
    }

    fn answered(&mut self, index: u32, code: ResponseCode, body: &[u8]) -> Option<(u64, u64)> {
        if code == ResponseCode::SUCCESS {
            return Some((count_messages(body), body.len() as u64));
        }
        let cursor = self.queues.get_mut(index as usize)?;
        cursor.at = cursor.first;
        None
    }
}
