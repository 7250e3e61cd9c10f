//! E-mail addresses: one rule for everybody, whatever script the mailbox and its domain are written in.

use contract::{
    EmailAddress,
    email_address::{EMAIL_BYTES_MAX, EMAIL_LOCAL_BYTES_MAX, EmailAddressError},
};
use proptest::prelude::*;

use crate::spellings::{decomposed, text};

/// Addresses as they are kept, and their keys.
const ADDRESSES: &[(&str, &str)] = &[
    ("ada@example.com", "ada@example.com"),
    ("Ada.Lovelace+trips@mail.example.co.uk", "ada.lovelace+trips@mail.example.co.uk"),
    ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
    ("a@r3---sn-apo3qvuoxuxbt-j5pe.example.com", "a@r3---sn-apo3qvuoxuxbt-j5pe.example.com"),
    ("ünïcode@exämple.com", "ünïcode@xn--exmple-cua.com"),
    ("i@straße.de", "i@xn--strae-oqa.de"),
    // The test addresses of the universal acceptance steering group and the like: every script, and marks within a label.
    ("abc@अजीब.भारत", "abc@xn--l1b0c5b5d.xn--h2brj9c"),
    ("अजीब@सार्वभौमिक-स्वीकृति-परीक्षण.संगठन", ""),
    ("测试@普遍接受-测试.世界", ""),
    ("測試@普遍適用測試.台灣", ""),
    ("ทดสอบ@ยูเอทดสอบ.ไทย", ""),
    ("تجربة@تجربة-القبول-الشامل.موريتانيا", ""),
    ("таз@универсальное-принятие-тест.москва", ""),
    ("δοκιμή@παράδειγμα.ελ", ""),
    ("பரிசோதனை@உதாரணம்.பரிட்சை", ""),
    ("පරීක්ෂණ@ශ්\u{200d}රී.ලංකා", ""),
    ("테스트@실례.테스트", ""),
    ("テスト@例え.テスト", ""),
    ("բարեւ@օրինակ.հայ", ""),
    ("მაგალითი@მაგალითი.გე", ""),
    ("בדיקה@דוגמה.ישראל", ""),
    ("آزمایش@نامه\u{200c}ای.ایران", ""),
    // Registries sell symbols, whatever IDNA 2008 says.
    ("x@i\u{2764}.ws", "x@xn--i-7iq.ws"),
    ("x@\u{1f4a9}.la", "x@xn--ls8h.la"),
    ("\u{1f98a}@example.com", "\u{1f98a}@example.com"),
];

#[test]
fn an_address_in_any_script_is_kept_as_written_and_compared_in_one_form() {
    for (address, key) in ADDRESSES {
        let read = EmailAddress::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        assert_eq!(read.as_str(), *address);
        assert!(key.is_empty() || read.key() == *key, "{} is not {key}", read.key());
        assert_eq!(EmailAddress::parse(&decomposed(address)).as_ref(), Ok(&read), "{address}, decomposed");
        assert_eq!(EmailAddress::parse(&format!(" {address}\n")).as_ref(), Ok(&read), "{address}, with space");
        // The same mailbox, with its domain as the DNS writes it.
        let ascii = EmailAddress::parse(&read.key()).unwrap();
        assert_eq!(ascii.key(), read.key(), "{address}");
    }
}

#[test]
fn spellings_of_one_mailbox_have_one_key() {
    for (one, other) in [
        ("Ada@Example.COM", "ada@example.com"),
        ("JOSÉ@example.com", "jose\u{301}@example.com"),
        ("a@EXÄMPLE.com", "a@xn--exmple-cua.com"),
        ("a@ｅｘａｍｐｌｅ。com", "a@example.com"),
        ("x@I\u{2764}.WS", "x@xn--i-7iq.ws"),
    ] {
        let key = |text: &str| EmailAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).key();
        assert_eq!(key(one), key(other), "{one} and {other}");
    }
}

#[test]
fn what_no_mail_reaches_is_refused_with_the_reason() {
    use EmailAddressError::{Domain, Local, Shape, TooLong};

    let long_label = format!("a@{}.com", "b".repeat(64));
    let long_domain = format!("a@{}com", "b.".repeat(126));
    let long_local = format!("{}@example.com", "é".repeat(33));
    let long = format!("{}@{}.{}.{}.com", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(63));
    for (bad, why) in [
        ("", Shape),
        ("@", Shape),
        ("ada", Shape),
        ("@example.com", Shape),
        ("a@", Domain),
        ("a@b", Domain),
        ("a@.com", Domain),
        ("a@b..c", Domain),
        ("a@b.c.", Domain),
        ("a@-b.com", Domain),
        ("a@b-.com", Domain),
        ("a@b_c.com", Domain),
        ("a@b c.com", Domain),
        ("a@b\u{202e}.com", Domain),
        ("a@xn--a.com", Domain),
        ("a@127.0.0.1", Domain),
        ("a@[127.0.0.1]", Domain),
        ("a@[IPv6:::1]", Domain),
        ("a@b.c>", Domain),
        (".a@b.com", Local),
        ("a.@b.com", Local),
        ("a..b@b.com", Local),
        ("a b@c.com", Local),
        ("a\u{a0}b@c.com", Local),
        ("a@b@c.com", Local),
        ("\"ada lovelace\"@b.com", Local),
        ("\"ada\"@b.com", Local),
        ("Ada <ada@b.com", Local),
        ("a,b@c.com", Local),
        ("a(b)@c.com", Local),
        (&long_label, Domain),
        (&long_domain, Domain),
        (&long_local, TooLong),
        (&long, TooLong),
        (&"a".repeat(10_000), TooLong),
    ] {
        assert_eq!(EmailAddress::parse(bad), Err(why), "{bad}");
    }
    for unseen in ["a\u{200b}@b.com", "a\u{202e}b@c.com", "\u{3164}@b.com", "\u{301}a@b.com", "a\0@b.com", "a\nb@c.com"]
    {
        assert!(matches!(EmailAddress::parse(unseen), Err(EmailAddressError::Unfit(_))), "{unseen:?}");
    }
}

#[test]
fn the_longest_address_that_mail_can_carry_is_read() {
    let local = "l".repeat(EMAIL_LOCAL_BYTES_MAX);
    let label = |length: usize| "d".repeat(length);
    let domain = format!("{}.{}.{}", label(63), label(63), label(EMAIL_BYTES_MAX - EMAIL_LOCAL_BYTES_MAX - 1 - 128));
    let longest = format!("{local}@{domain}");
    assert_eq!(longest.len(), EMAIL_BYTES_MAX);
    assert_eq!(EmailAddress::parse(&longest).unwrap().as_str(), longest);
    assert_eq!(EmailAddress::parse(&format!("{longest}d")), Err(EmailAddressError::TooLong));
}

proptest! {
    #[test]
    fn an_address_reads_back_equal_and_has_one_key(local in text(), label in text()) {
        let typed = format!("{local}@{label}.com");
        let read = EmailAddress::parse(&typed);
        prop_assert_eq!(&EmailAddress::parse(&decomposed(&typed)), &read);
        if let Ok(address) = read {
            prop_assert_eq!(&EmailAddress::parse(address.as_str()), &Ok(address.clone()));
            let by_key = EmailAddress::parse(&address.key()).unwrap();
            prop_assert_eq!(by_key.key(), address.key());
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(&serde_json::from_str::<EmailAddress>(&json).unwrap(), &address);
            prop_assert!(!address.as_str().chars().any(|c| c.is_whitespace() || c.is_control()));
        }
    }
}
