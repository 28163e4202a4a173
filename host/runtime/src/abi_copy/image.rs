//! A message between two memories: its bytes as the canonical ABI lays them out, cut into the blocks that its pointers point to.
//!
//! Blocks stand parent before child, in the order in which the canonical ABI allocates them. The words of a pointer hold nothing
//! of use until the block is placed; the length beside it is that of the image, where every string is UTF-8.
//! Invariant: an image never exceeds `limits::SEAM_MESSAGE_BYTES_MAX`. Buffers are reused per thread.
//! Not here: what the bytes mean (`lift`).

use std::cell::{Cell, RefCell};

use wasmtime::component::__internal::LowerContext;
use wasmtime::{Result, ValRaw};

use super::strings::{self, Encoding};
use super::{Fault, limits};

/// Where the pointer to a block stands.
#[derive(Clone, Copy)]
pub(super) enum Home {
    /// Nowhere: this is the value itself, which the signature puts into memory.
    Root,
    /// In this core value; the length is in the next one.
    Slot(u32),
    /// `at` bytes into an earlier block; the length follows.
    Block { index: u32, at: u32 },
}

#[derive(Clone, Copy)]
struct Block {
    home: Home,
    start: u32,
    len: u32,
    align: u32,
    text: bool,
}

/// Empty images own nothing: buffers come with the first block.
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
    /// Where blocks were placed, by index; taken out while in use.
    static PLACED: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

fn footprint(bytes: &Vec<u8>, blocks: &Vec<Block>) -> usize {
    bytes.capacity() + blocks.capacity() * size_of::<Block>()
}

impl Image {
    /// Bytes that the message takes here.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<Block>()
    }

    /// Where a block starts and how long it is.
    pub(super) fn block(&self, index: usize) -> Option<(usize, usize)> {
        self.blocks.get(index).map(|block| (block.start as usize, block.len as usize))
    }

    pub(super) fn slice(&self, start: usize, len: usize) -> Result<&[u8], Fault> {
        self.bytes.get(start..).and_then(|rest| rest.get(..len)).ok_or(Fault::Mismatch)
    }

    /// The length of the root block, if the message has one.
    pub(super) fn root_len(&self) -> Option<u32> {
        self.blocks.first().and_then(|block| matches!(block.home, Home::Root).then_some(block.len))
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

    /// Adds a copy of `source` and returns the block's index and where it starts in the image.
    pub(super) fn push(&mut self, home: Home, source: &[u8], align: u32) -> Result<(u32, usize), Fault> {
        self.reserve(source.len())?;
        self.bytes.extend_from_slice(source);
        self.close(home, source.len(), align, false)
    }

    /// Adds a string from its encoded `source`, as UTF-8, and returns its length in that.
    pub(super) fn push_text(&mut self, home: Home, source: &[u8], encoding: Encoding) -> Result<u32, Fault> {
        self.reserve(source.len())?;
        let start = self.bytes.len();
        strings::decode(source, encoding, &mut self.bytes)?;
        let len = self.bytes.len() - start;
        self.close(home, len, 1, true)?;
        u32::try_from(len).map_err(|_| Fault::TooLarge)
    }

    /// Makes the last `len` bytes a block.
    fn close(&mut self, home: Home, len: usize, align: u32, text: bool) -> Result<(u32, usize), Fault> {
        let fit = |n: usize| u32::try_from(n).map_err(|_| Fault::TooLarge);
        let start = self.bytes.len() - len;
        let index = fit(self.blocks.len())?;
        self.blocks.push(Block { home, start: fit(start)?, len: fit(len)?, align, text });
        // A string in UTF-16 grows by half when it becomes UTF-8.
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

    /// Zeroes what belongs to no value.
    pub(super) fn clear(&mut self, from: usize, to: usize) -> Result<(), Fault> {
        if from < to {
            self.bytes.get_mut(from..to).ok_or(Fault::Mismatch)?.fill(0);
        }
        Ok(())
    }

    /// Copies the message into the memory that `cx` lowers into and points its pointers there.
    ///
    /// The root block goes to `root`, which is its length long, and without it to an allocation of its own whose address goes to the first of `slots`.
    pub(super) fn place<T: 'static>(
        &self,
        cx: &mut LowerContext<'_, T>,
        root: Option<usize>,
        slots: &mut [ValRaw],
    ) -> Result<()> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        let encoding = Encoding::of(cx.options().string_encoding);
        let mut placed = PLACED.take();
        placed.clear();
        for block in &self.blocks {
            let (start, len) = (block.start as usize, block.len as usize);
            let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..len)).ok_or(Fault::Mismatch)?;
            let foreign = block.text && encoding != Encoding::Utf8;
            let address = match (block.home, root) {
                (Home::Root, Some(address)) => {
                    write(cx.as_slice_mut(), address, bytes)?;
                    address
                }
                _ if foreign => {
                    let (address, units) = place_text(cx, bytes, encoding)?;
                    self.link_len(cx, block.home, &placed, units, slots)?;
                    address
                }
                _ => {
                    let address = cx.realloc(0, 0, block.align, len)?;
                    write(cx.as_slice_mut(), address, bytes)?;
                    address
                }
            };
            let address = u32::try_from(address).map_err(|_| Fault::Mismatch)?;
            match block.home {
                Home::Root if root.is_none() => set_slot(slots, 0, address)?,
                Home::Root => {}
                Home::Slot(slot) => set_slot(slots, slot as usize, address)?,
                Home::Block { index, at } => {
                    let parent = placed.get(index as usize).ok_or(Fault::Mismatch)?;
                    write(cx.as_slice_mut(), *parent as usize + at as usize, &address.to_le_bytes())?;
                }
            }
            placed.push(address);
        }
        PLACED.set(placed);
        Ok(())
    }

    fn link_len<T: 'static>(
        &self,
        cx: &mut LowerContext<'_, T>,
        home: Home,
        placed: &[u32],
        units: u32,
        slots: &mut [ValRaw],
    ) -> Result<()> {
        match home {
            Home::Slot(slot) => set_slot(slots, slot as usize + 1, units)?,
            Home::Block { index, at } => {
                let parent = placed.get(index as usize).ok_or(Fault::Mismatch)?;
                write(cx.as_slice_mut(), *parent as usize + at as usize + 4, &units.to_le_bytes())?;
            }
            Home::Root => return Err(Fault::Mismatch.into()),
        }
        Ok(())
    }
}

/// Copies UTF-8 `text` into the memory in `encoding`; returns its address and what stands for its length.
pub(super) fn place_text<T: 'static>(
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

/// All 64 bits are written: a pointer may share its slot with a 64-bit payload of another case.
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
