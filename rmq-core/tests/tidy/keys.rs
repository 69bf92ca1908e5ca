//! Every configuration key is on the page that people read.

use rmq_core::config::table::Row;
use rmq_core::config::{
    BrokerConfig, ClientConfig, NamesrvConfig, ServerConfig, StoreConfig, auth, controller,
};

/// Every table of keys.
pub(crate) const TABLES: [&[Row]; 7] = [
    BrokerConfig::ROWS,
    ClientConfig::ROWS,
    NamesrvConfig::ROWS,
    ServerConfig::ROWS,
    StoreConfig::ROWS,
    auth::AuthKeys::ROWS,
    controller::ControllerKeys::ROWS,
];

/// Keys that have no row of their own on the page, and those that do not say what they do.
pub(crate) fn check(page: &str, rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        if !page
            .lines()
            .any(|line| line.starts_with(&format!("| `{}` ", row.key)))
        {
            wrong.push(format!("{} is not in docs/configuration.md", row.key));
        }
        if row.doc.trim().is_empty() {
            wrong.push(format!("{} does not say what it does", row.key));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_keys_are_caught() {
        let rows = &NamesrvConfig::ROWS[..1];
        let page = format!("x `{0}`\n| `{0}` | text |", rows[0].key);
        assert_eq!(check(&page, rows), Vec::<String>::new());
        assert_eq!(check("| `another` | text |", rows).len(), 1);
        assert_eq!(
            check(
                "",
                &[Row {
                    doc: " ",
                    ..rows[0]
                }]
            )
            .len(),
            2
        );
    }
}
