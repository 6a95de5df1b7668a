//! The trigger types in the shipped pack `core` are those of this crate's table.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use squall_sensors::trigger_types::trigger_types;
use squall_value::dict;
use squall_yaml::EmitStyle;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/core/triggers")
}

/// With `UPDATE_EXPECT=1` in the environment the files are written anew.
#[test]
fn every_type_has_its_file() {
    for kind in trigger_types() {
        let value = dict! {
            "name" => kind.name,
            "description" => kind.description.as_str(),
            "parameters_schema" => kind.parameters_schema.clone(),
            "payload_schema" => kind.payload_schema.clone(),
        };
        let text = format!("---\n{}", squall_yaml::emit(&value, &EmitStyle::people()));
        expect_file![directory().join(format!("{}.yaml", kind.name))].assert_eq(&text);
    }
}

#[test]
fn no_file_is_without_a_type() {
    let names: BTreeSet<String> = trigger_types()
        .iter()
        .map(|kind| format!("{}.yaml", kind.name))
        .collect();
    let files: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names);
}
