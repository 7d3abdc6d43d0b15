// SPDX-License-Identifier: MIT
//
// Which tokio cargo chose: tokio itself does not say.

use std::fs;

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let version = lock
        .split("[[package]]")
        .find(|one| one.contains("name = \"tokio\"\n"))
        .and_then(|one| one.split("version = \"").nth(1)?.split('"').next())
        .expect("tokio in Cargo.lock");
    println!("cargo:rustc-env=TOKIO_VERSION={version}");
}
