use crate::{Options, load};

#[test]
fn reads() {
    let d = load("a: [yes, 012, 1:30]\n", &Options::default()).unwrap();
    assert_eq!(d.root.to_value().to_json(), r#"{"a":[true,10,90]}"#);
}
