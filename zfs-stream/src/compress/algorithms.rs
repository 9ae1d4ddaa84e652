//! Which algorithm reads a payload, and those that libraries bring.

use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{Problem, lzjb, number, zle, zstd};

/// Decompresses blocks, with what the algorithms need kept between them.
#[derive(Debug, Default)]
pub struct Decompressor {
    zstd: Option<zstd::Decoder>,
}

impl Decompressor {
    /// Takes no memory until a payload needs it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses a payload into a block, which has the block's length.
    ///
    /// # Errors
    ///
    /// [`Problem`] if the payload is not that block; the block's bytes mean
    /// nothing then.
    pub fn decompress(
        &mut self,
        compression: u8,
        payload: &[u8],
        block: &mut [u8],
    ) -> Result<(), Problem> {
        match compression {
            0 | number::OFF => plain(payload, block),
            number::LZJB => lzjb::decompress(payload, block),
            number::GZIP_1..=number::GZIP_9 => gzip(payload, block),
            number::ZLE => zle::decompress(payload, block),
            number::LZ4 => lz4(payload, block),
            number::ZSTD => {
                let decoder = match &mut self.zstd {
                    Some(decoder) => decoder,
                    none => none.insert(zstd::Decoder::new()?),
                };
                decoder.decompress(payload, block)
            }
            other => Err(Problem::Unknown(other)),
        }
    }
}

fn plain(payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    exactly(payload.len(), block.len())?;
    block.copy_from_slice(payload);
    Ok(())
}

/// An algorithm must fill the block.
pub(super) fn exactly(found: usize, wanted: usize) -> Result<(), Problem> {
    if found == wanted {
        Ok(())
    } else {
        Err(Problem::WrongLength { found, wanted })
    }
}

/// What a head of four bytes tells the length of, after so many more bytes of
/// head.
pub(super) fn framed(payload: &[u8], more_head: usize) -> Result<&[u8], Problem> {
    let found = payload.len();
    let missing = Problem::BadLength { stated: 4, found };
    let (head, rest) = payload.split_first_chunk::<4>().ok_or(missing)?;
    let stated = u32::from_be_bytes(*head);
    let rest = rest.get(more_head..).unwrap_or_default();
    rest.get(..stated as usize).ok_or(Problem::BadLength {
        stated: u64::from(stated),
        found: rest.len(),
    })
}

fn gzip(payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    // Padding may follow, so what is left of the payload means nothing.
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, _, filled) = decompress(&mut state, payload, block, 0, flags);
    if status != miniz_oxide::inflate::TINFLStatus::Done {
        return Err(Problem::Corrupt {
            algorithm: "gzip",
            detail: format!("{status:?}"),
        });
    }
    exactly(filled, block.len())
}

fn lz4(payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    let input = framed(payload, 0)?;
    let filled = lz4_flex::block::decompress_into(input, block).map_err(|error| {
        let detail = error.to_string();
        Problem::Corrupt {
            algorithm: "lz4",
            detail,
        }
    })?;
    exactly(filled, block.len())
}

/// The length of what it wrote; that of the block or more where it does not
/// fit.
pub(super) fn compress_lz4(block: &[u8], payload: &mut Vec<u8>) -> Result<usize, Problem> {
    let most = lz4_flex::block::get_maximum_output_size(block.len()) + 4;
    if payload.len() < most {
        payload.resize(most, 0);
    }
    let failed = |detail: String| Problem::Failed {
        algorithm: "lz4",
        detail,
    };
    let (head, body) = payload
        .split_first_chunk_mut::<4>()
        .ok_or_else(|| failed("no room".to_owned()))?;
    let length =
        lz4_flex::block::compress_into(block, body).map_err(|error| failed(error.to_string()))?;
    *head = (length as u32).to_be_bytes();
    Ok(length + 4)
}
