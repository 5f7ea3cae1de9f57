//! CRC-32 as in ISO 3309 and zlib.

/// The checksum of bytes.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        REMAINDERS.get(usize::from(low ^ byte)).copied().unwrap_or(0) ^ (crc >> 8)
    };
    !bytes.iter().fold(!0, step)
}

/// The remainder of each byte.
static REMAINDERS: [u32; 256] = remainders();

#[cfg_attr(
    not(test),
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing,
        reason = "runs while the crate is built, where anything wrong ends the build"
    )
)]
const fn remainders() -> [u32; 256] {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < all.len() {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let odd = remainder & 1 == 1;
            remainder >>= 1;
            if odd {
                remainder ^= 0xedb8_8320;
            }
            bit += 1;
        }
        all[byte] = remainder;
        byte += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
