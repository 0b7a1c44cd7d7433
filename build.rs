//! Compiles the operator shim against libtorch, and puts libtorch's folder into the binary's run path, so that it starts without
//! LD_LIBRARY_PATH: where it lies in a package, seen from the binary, and where it lies on this machine.

use std::path::{Path, PathBuf};

/// scripts/package/stage puts it there.
const PACKAGED: &str = "$ORIGIN/../lib64/patchcored";

const SHIM: &str = "src/patchcore/backbone/shim.cpp";

fn main() {
    for path in ["build.rs", "migrations", SHIM] {
        println!("cargo:rerun-if-changed={path}");
    }
    for name in ["LIBTORCH", "LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI", "DEP_TCH_LIBTORCH_LIB"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // What torch-sys links, wherever it found that.
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo:error=torch-sys does not say where libtorch is; set LIBTORCH to its folder");
        return;
    };
    compile_shim(&lib);
    println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{PACKAGED}");
    if std::env::var_os("LIBTORCH").is_some() {
        // The link `target/libtorch` may go away with `cargo clean`; what it points to stays.
        let lib = lib.canonicalize().unwrap_or(lib);
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}

/// With the headers and the ABI that torch-sys takes for its own C++.
fn compile_shim(lib: &Path) {
    let root = std::env::var_os("LIBTORCH_INCLUDE").map_or_else(|| lib.join(".."), PathBuf::from);
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag("-isystem")
        .flag(root.join("include"))
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file(SHIM)
        .compile("patchcored_shim");
}
