//! Expressions of subscriptions and what they say, Bloom filter positions, the filter file.

use rmq_core::protocol::body::consumer_filter::{BloomPositions, ConsumerFilterTable};
use rmq_core::protocol::filter::bloom::Bloom;
use rmq_core::protocol::filter::sql::{Selector, SelectorLimits};

use crate::data::lines;

#[test]
fn expressions_say_what_they_say_in_apache() {
    let mut messages = Vec::new();
    let mut wrong = Vec::new();
    for line in lines("5.3.3", "filters") {
        if line.has("message") {
            messages.push(line.text("message").to_owned());
            continue;
        }
        let text = line.text("expression");
        let parsed = Selector::parse(text, &SelectorLimits::default());
        let answers = match &parsed {
            Ok(selector) => messages
                .iter()
                .map(|message| match selector.evaluate(message.as_bytes()) {
                    Ok(Some(true)) => 't',
                    Ok(Some(false)) => 'f',
                    Ok(None) => 'n',
                    Err(_) => 'e',
                })
                .collect(),
            Err(_) => String::from("-"),
        };
        if answers != line.text("answers") {
            wrong.push(format!(
                "{}: {text:?} says {answers}, Apache {}; {parsed:?}",
                line.place,
                line.text("answers")
            ));
        }
        // What it prints is the same expression, without what was not read.
        if let Ok(selector) = parsed {
            let again = Selector::parse(&selector.to_string(), &SelectorLimits::default());
            assert_eq!(again.unwrap().to_string(), selector.to_string(), "{text}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bloom_filter_positions() {
    for line in lines("5.3.3", "bloom") {
        let number = |name| u32::try_from(line.int(name)).unwrap();
        let bloom = Bloom::new(number("errorPercent"), number("expected"));
        assert_eq!(bloom.bits(), number("bits"), "{}", line.place);
        let positions = bloom
            .positions(line.text("text"))
            .into_iter()
            .map(i64::from);
        assert!(positions.eq(line.ints("positions")), "{}", line.place);
    }
}

#[test]
fn the_filter_file() {
    for line in lines("5.3.3", "filter-file") {
        let text = line.text("file");
        let table = ConsumerFilterTable::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(table.encode_file()).unwrap(), text);
        for filter in table
            .topics
            .values()
            .flat_map(|topic| topic.groups.values())
        {
            // The size that a manager without a broker uses.
            let bloom = Bloom::new(20, 64);
            let name = format!("{}#{}", filter.consumer_group, filter.topic);
            let positions = BloomPositions {
                bit_num: bloom.bits(),
                bit_pos: bloom.positions(&name),
            };
            assert_eq!(filter.bloom.as_ref(), Some(&positions));
            assert_eq!(filter.is_dead(), filter.consumer_group == "h");
        }
    }
}
