// SPDX-License-Identifier: Apache-2.0

import CLinux
import EventLoop
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

    /// Memory from anywhere, and from the node that every machine with nodes has.
    private static let memories: [LoopPlacement.Memory] = [.anywhere, .preferred(node: 0), .bound(node: 0)]

    @Test(
        "every buffer comes home: what is owned is on loan or kept, and no more is kept than was said",
        arguments: memories)
    func home(memory: LoopPlacement.Memory) throws {
        let pool = BufferPool(keptCount: 3, memory: memory)
        var leases: [BufferLease] = []
        var numbers = SeededSteps(seed: 42)
        for _ in 0..<2_000 {
            if leases.isEmpty || numbers.next() % 3 != 0 && leases.count < 20 {
                let lease = pool.lease(byteCount: 1 << (numbers.next() % 18))
                // All of it can be written to.
                let base = try #require(lease.base)
                base.storeBytes(of: 1, as: UInt8.self)
                (base + (lease.byteCount - 1)).storeBytes(of: 1, as: UInt8.self)
                leases.append(lease)
            } else {
                pool.giveBack(leases.remove(at: numbers.next() % leases.count))
            }
            #expect(pool.leasedByteCount == leases.reduce(0) { $0 + $1.byteCount })
            #expect(pool.keptByteCount >= 0)
            #expect(pool.ownedByteCount == pool.leasedByteCount + pool.keptByteCount)
        }
        for lease in leases { pool.giveBack(lease) }
        #expect(pool.leasedByteCount == 0)
        // Three of each class from 4 KiB to 128 KiB.
        #expect(pool.keptByteCount <= 3 * (256 << 10))
    }

    @Test("a pool that may keep nothing keeps nothing", arguments: memories)
    func keepsNothing(memory: LoopPlacement.Memory) {
        let pool = BufferPool(keptCount: 0, memory: memory)
        pool.giveBack(pool.lease(byteCount: 100_000))
        #expect(pool.ownedByteCount == 0)
    }

    @Test("buffers of a node lie on it, in pages of their own")
    func node() throws {
        guard let node = Topology.read().nodes.first(where: { $0.memoryByteCount != 0 })?.number else { return }
        let pool = BufferPool(memory: .preferred(node: node))
        for byteCount in [1, 65_536, 1 << 20] {
            let lease = pool.lease(byteCount: byteCount)
            let base = try #require(lease.base)
            #expect(UInt(bitPattern: base) % 4096 == 0)
            base.storeBytes(of: 7, as: UInt8.self)
            // Containers may forbid the question.
            let answer = clinux_node_of_memory(base)
            #expect(answer == node || answer == -1)
            pool.giveBack(lease)
        }
    }
}

/// Numbers that are the same for the same seed.
private struct SeededSteps {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33)
    }
}
