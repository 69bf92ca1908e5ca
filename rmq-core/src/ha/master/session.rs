//! What a master makes of a slave's reports. No socket, no clock.

use std::fmt;

/// Why a slave, or what calls itself one, is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No offset.
    Negative { report: i64 },
    /// It has more than this master.
    BeyondEnd { report: i64, end: i64 },
    /// What it needs next is deleted.
    BeforeFirst { report: i64, first: i64 },
    /// It acknowledges what it was not sent.
    NotSent { report: i64, sent: i64 },
    /// It takes back what it reported when it connected.
    TakenBack { report: i64, asked: i64 },
}

impl Refusal {
    /// An offset that lets a slave see what is wrong when it comes in a frame.
    pub(super) fn hint(&self) -> Option<i64> {
        match *self {
            Self::BeyondEnd { end, .. } => Some(end),
            Self::BeforeFirst { first, .. } => Some(first),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative { report } => write!(f, "reports offset {report}: it is no slave"),
            Self::BeyondEnd { report, end } => write!(
                f,
                "reports offset {report} beyond the end {end} of this log: it holds messages that \
                 this master lost (or is no slave at all); remove its store to copy this one"
            ),
            Self::BeforeFirst { report, first } => write!(
                f,
                "reports offset {report} before the beginning {first} of this log: what it needs \
                 is deleted; remove its store to copy this one"
            ),
            Self::NotSent { report, sent } => write!(
                f,
                "acknowledges offset {report}, but was sent the log up to {sent} only"
            ),
            Self::TakenBack { report, asked } => write!(
                f,
                "reports offset {report} after it asked for what follows {asked}"
            ),
        }
    }
}

/// One slave, as far as its reports go.
#[derive(Debug)]
pub(super) struct Session {
    /// Its first report.
    asked: i64,
    /// Log offset of the next byte to send.
    next: i64,
    ack: i64,
}

impl Session {
    /// Decides where a slave that reports `report` first is served from, out of a log from `first`
    /// to `end`.
    pub(super) fn new(report: i64, first: i64, end: i64) -> Result<Self, Refusal> {
        // A slave that has nothing reports 0, or 1 to an Apache master, which would leave out all
        // files but its last one for 0.
        let from = match report {
            0 => first,
            1 => first.max(1),
            _ if report < 0 => return Err(Refusal::Negative { report }),
            _ if report > end => return Err(Refusal::BeyondEnd { report, end }),
            _ if report < first => return Err(Refusal::BeforeFirst { report, first }),
            _ => report,
        };
        Ok(Self {
            asked: report,
            next: from,
            ack: report,
        })
    }

    /// Log offset of the next byte to send.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// The log was sent up to `offset`.
    pub(super) fn sent(&mut self, offset: i64) {
        self.next = offset;
    }

    /// Its first report.
    pub(super) fn asked(&self) -> i64 {
        self.asked
    }

    /// A later report; what it newly acknowledges.
    pub(super) fn report(&mut self, report: i64) -> Result<Option<i64>, Refusal> {
        if report < self.asked {
            let asked = self.asked;
            return Err(Refusal::TakenBack { report, asked });
        }
        if report > self.next {
            let sent = self.next;
            return Err(Refusal::NotSent { report, sent });
        }
        if report <= self.ack {
            return Ok(None);
        }
        self.ack = report;
        Ok(Some(report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(report: i64, first: i64, end: i64) -> Result<i64, Refusal> {
        Session::new(report, first, end).map(|session| session.next())
    }

    #[test]
    fn the_first_report_says_where_to_begin() {
        assert_eq!(from(500, 0, 1_000), Ok(500));
        assert_eq!(from(1_000, 0, 1_000), Ok(1_000));
        assert_eq!(from(700, 700, 1_000), Ok(700));
        // Slaves that have nothing.
        assert_eq!(from(0, 0, 1_000), Ok(0));
        assert_eq!(from(1, 0, 1_000), Ok(1));
        assert_eq!(from(0, 0, 0), Ok(0));
        assert_eq!(from(1, 0, 0), Ok(1));
        assert_eq!(from(0, 700, 1_000), Ok(700));
        assert_eq!(from(1, 700, 1_000), Ok(700));
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_reason() {
        let text = |report, first, end| {
            let refusal = from(report, first, end).unwrap_err();
            (refusal.hint(), refusal.to_string())
        };
        let (hint, why) = text(1_001, 0, 1_000);
        assert_eq!(hint, Some(1_000));
        assert!(why.contains("offset 1001 beyond the end 1000"), "{why}");
        let (hint, why) = text(699, 700, 1_000);
        assert_eq!(hint, Some(700));
        assert!(why.contains("before the beginning 700"), "{why}");
        assert_eq!(text(-1, 0, 1_000).0, None);
        assert_eq!(text(2, 0, 0).0, Some(0));
        let http = i64::from_be_bytes(*b"GET / HT");
        let tls = i64::from_be_bytes([0x16, 3, 1, 2, 0, 1, 0, 1]);
        for garbage in [http, tls, i64::MAX] {
            assert!(matches!(
                from(garbage, 0, 1 << 50),
                Err(Refusal::BeyondEnd { .. })
            ));
        }
        assert!(matches!(
            from(i64::MIN, 0, 10),
            Err(Refusal::Negative { .. })
        ));
    }

    #[test]
    fn lies_are_refused() {
        let mut session = Session::new(500, 0, 1_000).unwrap();
        assert_eq!(session.report(500), Ok(None));
        session.sent(600);
        assert_eq!(session.report(550), Ok(Some(550)));
        assert_eq!(session.report(520), Ok(None), "an old one");
        assert_eq!(session.report(600), Ok(Some(600)));
        assert_eq!(
            session.report(601),
            Err(Refusal::NotSent {
                report: 601,
                sent: 600
            })
        );
        assert_eq!(
            session.report(499),
            Err(Refusal::TakenBack {
                report: 499,
                asked: 500
            })
        );
    }

    #[test]
    fn an_empty_slave_may_say_so_again_until_it_has_something() {
        let mut session = Session::new(0, 700, 1_000).unwrap();
        session.sent(900);
        assert_eq!(session.report(0), Ok(None));
        assert_eq!(session.report(800), Ok(Some(800)));
        assert_eq!(session.report(0), Ok(None));
    }
}
