// SPDX-License-Identifier: Apache-2.0

import Testing
import Transport

@Suite("BufferPool")
struct BufferPoolTests {
    @Test(
        "a lease is page-aligned and at least as large as asked, in powers of two",
        arguments: [
            (1, 4096), (4096, 4096), (4097, 8192), (65536, 65536), (65537, 131072), ((8 << 20) + 1, 16 << 20),
        ])
    func sizes(asked: Int, given: Int) throws {
        let pool = BufferPool()
        let lease = pool.lease(byteCount: asked)
        let base = try #require(lease.base)
        #expect(lease.byteCount == given)
        #expect(UInt(bitPattern: base) % 4096 == 0)
        #expect(pool.leasedByteCount == given)
        pool.giveBack(lease)
        #expect(pool.leasedByteCount == 0)
    }

    @Test("the buffer given back last is the next one leased, for the sake of the cache")
    func lastInFirstOut() {
        let pool = BufferPool()
        let first = pool.lease(byteCount: 4096)
        let second = pool.lease(byteCount: 4096)
        pool.giveBack(first)
        pool.giveBack(second)
        #expect(pool.lease(byteCount: 100).base == second.base)
        #expect(pool.lease(byteCount: 100).base == first.base)
    }

    @Test("sizes do not mix")
    func classes() {
        let pool = BufferPool()
        let small = pool.lease(byteCount: 4096)
        pool.giveBack(small)
        let large = pool.lease(byteCount: 8192)
        #expect(large.base != small.base)
        pool.giveBack(large)
    }

    @Test("no bytes, no memory")
    func empty() {
        let pool = BufferPool()
        let lease = pool.lease(byteCount: 0)
        #expect(lease.isEmpty)
        pool.giveBack(lease)
        #expect(pool.leasedByteCount == 0)
    }
}
