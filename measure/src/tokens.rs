//! Many tokens of one length, packed, and a cheap way to draw from them.

/// Tokens, one behind the other.
#[derive(Debug)]
pub struct Tokens {
    text: String,
    length: usize,
}

impl Tokens {
    /// Room for `count` tokens of `length` bytes: pushing them then allocates nothing.
    #[must_use]
    pub fn with_capacity(count: usize, length: usize) -> Self {
        Self { text: String::with_capacity(count * length), length }
    }

    /// Adds one.
    ///
    /// # Panics
    /// If it is longer or shorter than the others.
    pub fn push(&mut self, token: &str) {
        assert_eq!(token.len(), self.length, "all tokens have one length");
        self.text.push_str(token);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.len() / self.length
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The one at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> &str {
        &self.text[index * self.length..][..self.length]
    }

    /// `count` of them, evenly spread.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        self.map(count, str::to_owned)
    }

    /// `count` of them, evenly spread, each changed.
    #[must_use]
    pub fn map(&self, count: usize, change: impl Fn(&str) -> String) -> Self {
        let mut some = Self::with_capacity(count, self.length);
        for index in 0..count {
            some.push(&change(self.get(index * (self.len() / count))));
        }
        some
    }
}

/// Draws indices, evenly, for next to nothing (xorshift64*).
#[derive(Debug)]
pub struct Draw(u64);

impl Draw {
    /// A draw of its own.
    #[must_use]
    pub fn new() -> Self {
        Self(rand::random::<u64>() | 1)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from((high * bound as u64) >> 32).expect("below a usize")
    }
}

impl Default for Draw {
    fn default() -> Self {
        Self::new()
    }
}
