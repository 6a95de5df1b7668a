#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| {
    squall_fuzz::criteria(text);
});
