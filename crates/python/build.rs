//! Has the crate built anew when a Python file comes or goes: the macro that embeds them only sees
//! those change that it knew.

fn main() {
    println!("cargo:rerun-if-changed=../../python");
}
