//! A message between two memories: its bytes in the layout of the canonical ABI, divided into the blocks that its
//! pointers point to.
//!
//! A parent block stands before its children, in the order in which the canonical ABI allocates them. A pointer in the
//! image is unset until its block is copied into the target memory. The length beside it is the length in the image,
//! where every string is UTF-8.
//! Invariant: an image never exceeds `limits::SEAM_MESSAGE_BYTES_MAX`. Each thread reuses its buffers.
//! Not here: the meaning of the bytes (`lift`).

use std::cell::{Cell, RefCell};

use wasmtime::component::__internal::LowerContext;
use wasmtime::{Result, ValRaw};

use super::strings::{self, Encoding};
use super::{Fault, limits};

/// Where the pointer to a block is stored.
#[derive(Clone, Copy)]
pub(super) enum PointerLocation {
    /// Nowhere: the block is the value itself, which the signature passes in memory.
    Root,
    /// In this core value; the next one holds the length.
    Slot(u32),
    /// `at` bytes into an earlier block; the length follows.
    Block { index: u32, at: u32 },
}

#[derive(Clone, Copy)]
struct Block {
    location: PointerLocation,
    start: u32,
    len: u32,
    align: u32,
    text: bool,
}

/// An empty image owns no buffers; it gets them with its first block.
#[derive(Default)]
pub(super) struct Image {
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Pool {
    free: Vec<(Vec<u8>, Vec<Block>)>,
    bytes: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
    /// The addresses of copied blocks, by index; taken out while in use.
    static ADDRESSES: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

fn footprint(bytes: &Vec<u8>, blocks: &Vec<Block>) -> usize {
    bytes.capacity() + blocks.capacity() * size_of::<Block>()
}

impl Image {
    /// The bytes that the message takes in the host.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<Block>()
    }

    /// The start and the length of a block.
    pub(super) fn block(&self, index: usize) -> Option<(usize, usize)> {
        self.blocks.get(index).map(|block| (block.start as usize, block.len as usize))
    }

    pub(super) fn slice(&self, start: usize, len: usize) -> Result<&[u8], Fault> {
        self.bytes.get(start..).and_then(|rest| rest.get(..len)).ok_or(Fault::Mismatch)
    }

    /// The length of the root block, if the message has one.
    pub(super) fn root_len(&self) -> Option<u32> {
        self.blocks.first().and_then(|block| matches!(block.location, PointerLocation::Root).then_some(block.len))
    }

    fn reserve(&mut self, len: usize) -> Result<(), Fault> {
        if len > limits::SEAM_MESSAGE_BYTES_MAX.saturating_sub(self.size() + size_of::<Block>()) {
            return Err(Fault::TooLarge);
        }
        if self.blocks.capacity() == 0 {
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if let Some((bytes, blocks)) = pool.free.pop() {
                    pool.bytes -= footprint(&bytes, &blocks);
                    (self.bytes, self.blocks) = (bytes, blocks);
                }
            });
        }
        Ok(())
    }

    /// Adds a copy of `source` as a block, and returns the block's index and its start in the image.
    pub(super) fn push(&mut self, location: PointerLocation, source: &[u8], align: u32) -> Result<(u32, usize), Fault> {
        self.reserve(source.len())?;
        self.bytes.extend_from_slice(source);
        self.close(location, source.len(), align, false)
    }

    /// Adds a block of zeroes, to be filled with values.
    pub(super) fn push_zeroes(
        &mut self,
        location: PointerLocation,
        len: usize,
        align: u32,
    ) -> Result<(u32, usize), Fault> {
        self.reserve(len)?;
        self.bytes.resize(self.bytes.len() + len, 0);
        self.close(location, len, align, false)
    }

    /// Adds the string `source`, converted to UTF-8, and returns its length in UTF-8.
    pub(super) fn push_text(
        &mut self,
        location: PointerLocation,
        source: &[u8],
        encoding: Encoding,
    ) -> Result<u32, Fault> {
        self.reserve(source.len())?;
        let start = self.bytes.len();
        strings::decode(source, encoding, &mut self.bytes)?;
        let len = self.bytes.len() - start;
        self.close(location, len, 1, true)?;
        u32::try_from(len).map_err(|_| Fault::TooLarge)
    }

    /// Adds the string `text`, and returns its length.
    pub(super) fn push_utf8(&mut self, location: PointerLocation, text: &str) -> Result<u32, Fault> {
        self.reserve(text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.close(location, text.len(), 1, true)?;
        u32::try_from(text.len()).map_err(|_| Fault::TooLarge)
    }

    /// Makes the last `len` bytes a block.
    fn close(&mut self, location: PointerLocation, len: usize, align: u32, text: bool) -> Result<(u32, usize), Fault> {
        let fit = |n: usize| u32::try_from(n).map_err(|_| Fault::TooLarge);
        let start = self.bytes.len() - len;
        let index = fit(self.blocks.len())?;
        self.blocks.push(Block { location, start: fit(start)?, len: fit(len)?, align, text });
        // `reserve` checked the encoded length, and a UTF-16 string may grow by half in UTF-8.
        if self.size() > limits::SEAM_MESSAGE_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        Ok((index, start))
    }

    pub(super) fn read<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Fault::Mismatch)
    }

    pub(super) fn read_u32(&self, at: usize) -> Result<u32, Fault> {
        self.read(at).map(u32::from_le_bytes)
    }

    pub(super) fn write(&mut self, at: usize, source: &[u8]) -> Result<(), Fault> {
        write(&mut self.bytes, at, source)
    }

    /// Zeroes bytes that are not part of a value.
    pub(super) fn clear(&mut self, from: usize, to: usize) -> Result<(), Fault> {
        if from < to {
            self.bytes.get_mut(from..to).ok_or(Fault::Mismatch)?.fill(0);
        }
        Ok(())
    }

    /// Copies the message into the memory that `cx` lowers into, and sets its pointers.
    ///
    /// The root block goes to the address `root`, where there must be room for it. Without `root` it gets its own
    /// allocation, whose address goes into the first of `slots`.
    pub(super) fn copy_into<T: 'static>(
        &self,
        cx: &mut LowerContext<'_, T>,
        root: Option<usize>,
        slots: &mut [ValRaw],
    ) -> Result<()> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let encoding = Encoding::of(cx.options().string_encoding);
        let mut addresses = ADDRESSES.take();
        addresses.clear();
        for block in &self.blocks {
            let (start, len) = (block.start as usize, block.len as usize);
            let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..len)).ok_or(Fault::Mismatch)?;
            let reencoded = block.text && encoding != Encoding::Utf8;
            let address = match (block.location, root) {
                (PointerLocation::Root, Some(address)) => {
                    write(cx.as_slice_mut(), address, bytes)?;
                    address
                }
                _ if reencoded => {
                    let (address, units) = copy_text(cx, bytes, encoding)?;
                    self.set_len(cx, block.location, &addresses, units, slots)?;
                    address
                }
                _ => {
                    let address = cx.realloc(0, 0, block.align, len)?;
                    write(cx.as_slice_mut(), address, bytes)?;
                    address
                }
            };
            let address = u32::try_from(address).map_err(|_| Fault::Mismatch)?;
            match block.location {
                PointerLocation::Root if root.is_none() => set_slot(slots, 0, address)?,
                PointerLocation::Root => {}
                PointerLocation::Slot(slot) => set_slot(slots, slot as usize, address)?,
                PointerLocation::Block { index, at } => {
                    let parent = addresses.get(index as usize).ok_or(Fault::Mismatch)?;
                    write(cx.as_slice_mut(), *parent as usize + at as usize, &address.to_le_bytes())?;
                }
            }
            addresses.push(address);
        }
        ADDRESSES.set(addresses);
        Ok(())
    }

    fn set_len<T: 'static>(
        &self,
        cx: &mut LowerContext<'_, T>,
        location: PointerLocation,
        addresses: &[u32],
        units: u32,
        slots: &mut [ValRaw],
    ) -> Result<()> {
        match location {
            PointerLocation::Slot(slot) => set_slot(slots, slot as usize + 1, units)?,
            PointerLocation::Block { index, at } => {
                let parent = addresses.get(index as usize).ok_or(Fault::Mismatch)?;
                write(cx.as_slice_mut(), *parent as usize + at as usize + 4, &units.to_le_bytes())?;
            }
            PointerLocation::Root => return Err(Fault::Mismatch.into()),
        }
        Ok(())
    }
}

/// Copies the UTF-8 `text` into the memory, in `encoding`; returns its address and its length in code units, with the
/// tag of `latin1+utf16`.
pub(super) fn copy_text<T: 'static>(
    cx: &mut LowerContext<'_, T>,
    text: &[u8],
    encoding: Encoding,
) -> Result<(usize, u32)> {
    let (bytes, units) = strings::encode(text, encoding)?;
    let address = cx.realloc(0, 0, encoding.align(), bytes.len())?;
    write(cx.as_slice_mut(), address, &bytes)?;
    Ok((address, units))
}

pub(super) fn write(memory: &mut [u8], at: usize, source: &[u8]) -> Result<(), Fault> {
    let target = memory.get_mut(at..).and_then(|rest| rest.get_mut(..source.len())).ok_or(Fault::Mismatch)?;
    target.copy_from_slice(source);
    Ok(())
}

/// Writes all 64 bits: a pointer may share its slot with a 64-bit payload of another case.
fn set_slot(slots: &mut [ValRaw], slot: usize, value: u32) -> Result<(), Fault> {
    *slots.get_mut(slot).ok_or(Fault::Mismatch)? = ValRaw::u64(u64::from(value));
    Ok(())
}

impl Drop for Image {
    fn drop(&mut self) {
        let (mut bytes, mut blocks) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.blocks));
        let footprint = footprint(&bytes, &blocks);
        if footprint == 0 {
            return;
        }
        bytes.clear();
        blocks.clear();
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.bytes + footprint <= limits::SEAM_POOL_BYTES {
                pool.bytes += footprint;
                pool.free.push((bytes, blocks));
            }
        });
    }
}
