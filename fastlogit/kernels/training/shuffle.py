"""Row orders: the bits of NumPy's legacy shuffle, and a faster shuffle with a generator of its own.

Both are the Fisher-Yates shuffle: row i is swapped with a partner drawn from rows 0..i.
Indices are unsigned throughout: Numba tests signed ones for counting from the end.
"""

import numpy as np

from fastlogit.kernels.codegen.compile import kernel
from fastlogit.kernels.codegen.linking import entry_point

u32, u64 = np.uint32, np.uint64
ONE = u64(1)
# MT19937 (Matsumoto and Nishimura, 1998, ACM TOMACS 8(1)): its words, and the twist's far one.
WORDS = u64(624)
FAR = u64(397)
UPPER, LOWER, MATRIX = u32(0x80000000), u32(0x7FFFFFFF), u32(0x9908B0DF)
# SFC64, "small fast chaotic" (Chris Doty-Humphrey's PractRand; also numpy.random.SFC64).
HALF = u64(32)
LOW_HALF = u64(0xFFFFFFFF)


@entry_point
def legacy_orders(generator, words, partners, order, orders):
    """Shuffle order as RandomState.shuffle does, once for each row of orders. OUT: all."""
    # generator (625,) is an MT19937: its state, then how many words of it are used up; it ends as
    # NumPy would leave it, order (n,) as the last of orders (E, n). words (624,) and partners (n,),
    # both uint32, are workspace.
    temper(generator, words)
    n_rows = u64(order.size)
    for epoch in range(orders.shape[0]):
        draw_partners(generator, words, partners)
        for done in range(ONE, n_rows):
            i = n_rows - done
            partner = partners[i]
            order[i], order[partner] = order[partner], order[i]
        for k in range(n_rows):
            orders[epoch, k] = order[k]


@kernel
def draw_partners(generator, words, partners):
    """Draw a partner in 0..i for rows i from the last to 1, by masked rejection. OUT: all."""
    # As in NumPy, a draw is a word's lowest bits, as many as i has, redrawn while it exceeds i.
    # Every other one may be, which no CPU predicts. So each word is stored as row i's partner, and
    # i advances where it is accepted: a compare and an add with carry, not a branch. That takes a
    # third of the time of the loop with a branch, and a fifth of NumPy's.
    i = u64(partners.size) - ONE
    mask = ONE
    while mask < i:
        mask = (mask << ONE) | ONE
    used = u64(generator[WORDS])
    while i > u64(0):
        if used >= WORDS:
            twist(generator)
            temper(generator, words)
            used = u64(0)
        if i == mask >> ONE:
            mask = i
        # So many words leave i within the block of words, and within those that share the mask.
        stop = used + min(WORDS - used, i - (mask >> ONE))
        for k in range(used, stop):
            partners[i] = partner = words[k] & u32(mask)
            i -= ONE if partner <= i else u64(0)
        used = stop
    generator[WORDS] = used


@kernel
def twist(state):
    """Replace MT19937's 624 words by the next. OUT: state."""
    for k in range(u64(0), WORDS - FAR):
        state[k] = twisted(state[k], state[k + ONE], state[k + FAR])
    for k in range(WORDS - FAR, WORDS - ONE):
        state[k] = twisted(state[k], state[k + ONE], state[k + FAR - WORDS])
    last = WORDS - ONE
    state[last] = twisted(state[last], state[u64(0)], state[FAR - ONE])


@kernel
def twisted(word, following, far):
    """Return the word that takes the place of word."""
    joined = (word & UPPER) | (following & LOWER)
    return far ^ (joined >> u32(1)) ^ (MATRIX if joined & u32(1) else u32(0))


@kernel
def temper(state, words):
    """Turn MT19937's state into its output. OUT: words."""
    for k in range(WORDS):
        word = state[k]
        word = u32(word ^ (word >> u32(11)))
        word = u32(word ^ ((word << u32(7)) & u32(0x9D2C5680)))
        word = u32(word ^ ((word << u32(15)) & u32(0xEFC60000)))
        words[k] = word ^ (word >> u32(18))


@entry_point
def fresh_orders(generator, orders):
    """Fill each row of orders (E, n) with a random permutation of 0..n−1. OUT: both arguments."""
    # The shuffle "inside out" (Durstenfeld, 1964, CACM 7(7), algorithm 235, the other way round):
    # what row i takes the place of moves to the end, so the rows need not be laid out before. The
    # two halves of a word are the draws of two rows; an epoch begins with a word of its own. The
    # generator (4,) is an SFC64, all of whose state is random.
    state = (generator[0], generator[1], generator[2], generator[3])
    n_rows = u64(orders.shape[1])
    for epoch in range(orders.shape[0]):
        order = orders[epoch]
        for i in range(u64(0), n_rows, u64(2)):
            word, state = next_word(state)
            place, state = bounded(word & LOW_HALF, i + ONE, state)
            order[i], order[place] = order[place], i
            following = i + ONE
            if following < n_rows:
                place, state = bounded(word >> HALF, following + ONE, state)
                order[following], order[place] = order[place], following
    generator[0], generator[1], generator[2], generator[3] = state


@kernel
def next_word(state):
    """Return 64 random bits and the state after them."""
    # Kept in registers, the state costs a sixth less than in an array.
    a, b, c, counter = state
    word = a + b + counter
    rotated = (c << u64(24)) | (c >> u64(40))
    return word, (b ^ (b >> u64(11)), c + (c << u64(3)), rotated + word, counter + ONE)


@kernel
def bounded(half, bound, state):
    """Return a draw from 0..bound−1, bound <= 2³², for 32 random bits, and the state after it."""
    # Lemire (2019), "Fast random integer generation in an interval", ACM TOMACS 29(1), algorithm 5:
    # the upper half of half · bound, redrawn where the lower one is below 2³² mod bound. The
    # modulo is taken only where the lower half is below the bound, once in 2³² / bound draws.
    product = half * bound
    if (product & LOW_HALF) < bound:
        threshold = (ONE << HALF) % bound
        while (product & LOW_HALF) < threshold:
            word, state = next_word(state)
            product = (word & LOW_HALF) * bound
    return product >> HALF, state
