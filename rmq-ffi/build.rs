//! Sets the soname of librmq.so, which cargo does not, and keeps it loaded once it is.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(os.as_str(), "linux" | "android" | "freebsd") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,librmq.so.0");
        // Code of a library stays while its threads may run it, and destructors of thread-locals
        // are called after a dlclose.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
