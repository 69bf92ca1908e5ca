//! `include/rmq.h` is what cbindgen makes of the sources. `RMQ_BLESS=1` rewrites it.

use std::fs;
use std::path::Path;

#[test]
fn header_is_up_to_date() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).unwrap();
    let mut generated = Vec::new();
    cbindgen::generate_with_config(package, config)
        .unwrap()
        .write(&mut generated);
    let generated = String::from_utf8(generated).unwrap();
    assert!(
        generated.contains("rmq_version("),
        "cbindgen found no functions:\n{generated}"
    );

    let path = package.join("../include/rmq.h");
    if std::env::var_os("RMQ_BLESS").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, generated,
        "include/rmq.h is stale: run `make bless` and commit it"
    );
}
