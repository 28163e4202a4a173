//! Pages of a file in Litestream's LTX format (version 2 of its header), so that its own tool can restore them too.
//!
//! A file of this format holds the last image of each page that some transactions changed, the first to the last by
//! their numbers. One that starts with transaction 1 is a *snapshot*: it has every page, but for the one in which
//! SQLite keeps its locks. Any other is a *delta*: its pages go over those of the state before it. Pages are compressed
//! one by one (LZ4 blocks). The checksum of the file is CRC-64 over its header, its pages as they were, and its index.
//!
//! The source of the format is `github.com/superfly/ltx`, `encoder.go` and `decoder.go`. The older form of pages, and
//! checksums of the whole database, are not read: this host does not write them.
//! Not here: where such files are kept and what they are called there.

use std::io::{self, Read, Write};

use crc::{CRC_64_GO_ISO, Crc, Digest, Table};

/// Bytes of the header.
pub const HEADER: usize = 100;
const PAGE_HEADER: usize = 6;
const MAGIC: &[u8; 4] = b"LTX1";
/// No checksums of the whole database.
const NO_CHECKSUM: u32 = 1 << 1;
/// The size of the compressed page stands before it.
const SIZED: u16 = 1;
/// In each checksum, so that none is zero.
const CHECKSUM: u64 = 1 << 63;
/// SQLite's locks are at this place of a file, and no page of it is used.
const LOCKS: u64 = 1 << 30;

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_GO_ISO);

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub page_bytes: u32,
    /// The database's pages after the last transaction.
    pub file_pages: u32,
    /// The numbers of the transactions; from 1 on.
    pub first: u64,
    pub last: u64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LtxError {
    #[error("cannot read or write it")]
    Io(#[from] io::Error),
    #[error("it is no LTX file: {0}")]
    Format(&'static str),
    #[error("it is damaged: its checksum is another")]
    Checksum,
}

impl Header {
    pub fn is_snapshot(&self) -> bool {
        self.first == 1
    }

    /// The number of the page in which SQLite keeps its locks. No file holds it.
    pub fn lock_page(&self) -> u32 {
        u32::try_from(LOCKS / u64::from(self.page_bytes.max(1)) + 1).unwrap_or(u32::MAX)
    }

    /// # Errors
    /// When the bytes, `HEADER` at least, are no header that this host reads.
    pub fn parse(bytes: &[u8]) -> Result<Self, LtxError> {
        let four = |at| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        let eight = |at| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
        let parsed = (|| {
            let header = Self {
                page_bytes: four(8)?,
                file_pages: four(12)?,
                first: eight(16)?,
                last: eight(24)?,
                at_ms: eight(32)?,
            };
            Some((header, four(4)?))
        })();
        let Some((header, flags)) = parsed.filter(|_| bytes.starts_with(MAGIC) && bytes.len() >= HEADER) else {
            return Err(LtxError::Format("it does not start as one"));
        };
        if flags != NO_CHECKSUM {
            return Err(LtxError::Format("it has checksums of the database, which this host does not read"));
        }
        if !(512..=65_536).contains(&header.page_bytes) || !header.page_bytes.is_power_of_two() {
            return Err(LtxError::Format("its pages have no size of SQLite's"));
        }
        if header.first == 0 || header.last < header.first {
            return Err(LtxError::Format("its transactions have no order"));
        }
        Ok(header)
    }

    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut put = |at: usize, field: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + field.len()) {
                to.copy_from_slice(field);
            }
        };
        put(0, MAGIC);
        put(4, &NO_CHECKSUM.to_be_bytes());
        put(8, &self.page_bytes.to_be_bytes());
        put(12, &self.file_pages.to_be_bytes());
        put(16, &self.first.to_be_bytes());
        put(24, &self.last.to_be_bytes());
        put(32, &self.at_ms.to_be_bytes());
        bytes
    }
}

/// Writes one file.
pub struct LtxWriter<W: Write> {
    to: W,
    header: Header,
    digest: Digest<'static, u64, Table<16>>,
    /// The number, place and length of each page.
    index: Vec<(u32, u64, u64)>,
    written: u64,
}

impl<W: Write> LtxWriter<W> {
    /// # Errors
    /// When it cannot be written.
    pub fn new(to: W, header: Header) -> Result<Self, LtxError> {
        let mut writer = Self { to, header, digest: CRC.digest(), index: Vec::new(), written: 0 };
        writer.put(&header.bytes())?;
        Ok(writer)
    }

    /// The next page, by rising numbers; of a snapshot each. The page of locks is left out.
    ///
    /// # Errors
    /// When it cannot be written, or has no place there.
    pub fn page(&mut self, number: u32, page: &[u8]) -> Result<(), LtxError> {
        if number == self.header.lock_page() {
            return Ok(());
        }
        let before = self.index.last().map_or(0, |(before, ..)| *before);
        if number <= before || number > self.header.file_pages || page.len() != self.header.page_bytes as usize {
            return Err(LtxError::Format("a page has no place in it"));
        }
        let start = self.written;
        let compressed = lz4_flex::block::compress(page);
        let mut head = [0; PAGE_HEADER + 4];
        for (to, from) in head.iter_mut().zip(number.to_be_bytes().into_iter().chain(SIZED.to_be_bytes())) {
            *to = from;
        }
        let size = u32::try_from(compressed.len()).unwrap_or(u32::MAX).to_be_bytes();
        for (to, from) in head.iter_mut().skip(PAGE_HEADER).zip(size) {
            *to = from;
        }
        self.put(&head)?;
        self.to.write_all(&compressed)?;
        self.digest.update(page);
        self.written += compressed.len() as u64;
        self.index.push((number, start, self.written - start));
        Ok(())
    }

    /// Ends the file. Its bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(W, u64), LtxError> {
        self.put(&[0; PAGE_HEADER])?;
        let mut index = Vec::new();
        for (number, start, length) in std::mem::take(&mut self.index) {
            [u64::from(number), start, length].into_iter().for_each(|each| varint(each, &mut index));
        }
        varint(0, &mut index);
        let length = index.len() as u64;
        index.extend(length.to_be_bytes());
        // The checksum of the database, which is not kept.
        index.extend([0; 8]);
        self.put(&index)?;
        let sum = self.digest.clone().finalize() | CHECKSUM;
        self.to.write_all(&sum.to_be_bytes())?;
        self.to.flush()?;
        Ok((self.to, self.written + 8))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LtxError> {
        self.to.write_all(bytes)?;
        self.digest.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Reads one file.
pub struct LtxReader<R: Read> {
    from: R,
    header: Header,
    digest: Digest<'static, u64, Table<16>>,
    before: u32,
    pages: u32,
    ended: bool,
}

impl<R: Read> LtxReader<R> {
    /// # Errors
    /// When it cannot be read, or is no file that this host reads.
    pub fn new(mut from: R) -> Result<Self, LtxError> {
        let mut bytes = [0; HEADER];
        from.read_exact(&mut bytes)?;
        let mut digest = CRC.digest();
        digest.update(&bytes);
        Ok(Self { header: Header::parse(&bytes)?, from, digest, before: 0, pages: 0, ended: false })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next page, into `page`; its number. `None` at the end of the file, which has then been found whole.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn next_into(&mut self, page: &mut Vec<u8>) -> Result<Option<u32>, LtxError> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; PAGE_HEADER];
        self.from.read_exact(&mut head)?;
        self.digest.update(&head);
        let [a, b, c, d, e, f] = head;
        let (number, flags) = (u32::from_be_bytes([a, b, c, d]), u16::from_be_bytes([e, f]));
        if number == 0 {
            self.end()?;
            return Ok(None);
        }
        if flags & SIZED == 0 {
            return Err(LtxError::Format("its pages have the older form"));
        }
        if number <= self.before || number > self.header.file_pages {
            return Err(LtxError::Format("its pages have no order"));
        }
        let mut size = [0; 4];
        self.from.read_exact(&mut size)?;
        self.digest.update(&size);
        let (size, bytes) = (u32::from_be_bytes(size) as usize, self.header.page_bytes as usize);
        if size > lz4_flex::block::get_maximum_output_size(bytes) {
            return Err(LtxError::Format("a page is too long"));
        }
        let mut compressed = vec![0; size];
        self.from.read_exact(&mut compressed)?;
        page.resize(bytes, 0);
        match lz4_flex::block::decompress_into(&compressed, page) {
            Ok(found) if found == bytes => {}
            _ => return Err(LtxError::Format("a page cannot be unpacked")),
        }
        self.digest.update(page);
        (self.before, self.pages) = (number, self.pages + 1);
        Ok(Some(number))
    }

    /// The index, whose contents nothing here needs, and the checksum.
    fn end(&mut self) -> Result<(), LtxError> {
        self.ended = true;
        // Three numbers of at most ten bytes for each page.
        let most = 64 + u64::from(self.pages) * 30;
        let mut rest = Vec::new();
        self.from.by_ref().take(most).read_to_end(&mut rest)?;
        let Some((index, sum)) = rest.split_last_chunk::<8>() else { return Err(LtxError::Format("it is cut off")) };
        self.digest.update(index);
        if self.digest.clone().finalize() | CHECKSUM != u64::from_be_bytes(*sum) {
            return Err(LtxError::Checksum);
        }
        let all = self.header.file_pages - u32::from(self.header.lock_page() <= self.header.file_pages);
        if self.header.is_snapshot() && self.pages != all {
            return Err(LtxError::Format("it is a snapshot without all pages"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn page(number: u32) -> Vec<u8> {
        (0..512_u32).map(|at| if at % 3 == 0 { number as u8 } else { (at / 7) as u8 }).collect()
    }

    fn header(first: u64) -> Header {
        Header { page_bytes: 512, file_pages: 6, first, last: 9, at_ms: 1_764_446_400_123 }
    }

    fn written(header: Header, numbers: &[u32]) -> Vec<u8> {
        let mut writer = LtxWriter::new(Vec::new(), header).unwrap();
        numbers.iter().for_each(|number| writer.page(*number, &page(*number)).unwrap());
        let (bytes, length) = writer.finish().unwrap();
        assert_eq!(bytes.len() as u64, length);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<u32>, LtxError> {
        let mut reader = LtxReader::new(bytes)?;
        let (mut numbers, mut image) = (Vec::new(), Vec::new());
        while let Some(number) = reader.next_into(&mut image)? {
            assert_eq!(image, page(number));
            numbers.push(number);
        }
        Ok(numbers)
    }

    #[test]
    fn what_was_written_is_read_and_every_changed_byte_is_noticed() {
        for (first, numbers) in [(1, &[1, 2, 3, 4, 5, 6][..]), (9, &[2, 5])] {
            let bytes = written(header(first), numbers);
            assert_eq!(Header::parse(&bytes).unwrap(), header(first));
            assert_eq!(read(&bytes).unwrap(), numbers);
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                let refused = std::panic::catch_unwind(|| read(&changed).is_err());
                assert!(refused.unwrap_or(true), "byte {at} of {}", bytes.len());
                assert!(read(&bytes[..at]).is_err(), "cut off at {at}");
            }
        }
    }

    #[test]
    fn a_snapshot_has_all_pages_and_pages_have_an_order() {
        assert!(matches!(read(&written(header(1), &[1, 2])), Err(LtxError::Format(why)) if why.contains("all pages")));
        let mut writer = LtxWriter::new(Vec::new(), header(9)).unwrap();
        writer.page(3, &page(3)).unwrap();
        for number in [3, 2, 7] {
            assert!(writer.page(number, &page(number)).is_err());
        }
    }

    /// The check value of CRC-64/GO-ISO.
    #[test]
    fn the_checksum_is_the_formats() {
        assert_eq!(CRC.checksum(b"123456789"), 0xb909_56c7_75a4_1001);
    }
}
