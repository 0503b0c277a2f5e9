// SPDX-License-Identifier: Apache-2.0

import HandlerABI
import Testing

@Suite struct VectorTests {
    @Test(
        "The length of a vector is the sum of its elements', or the largest number when that does not fit",
        arguments: [([], 0), ([0], 0), ([5], 5), ([1, 0, 512], 513)] as [([Int], Int)])
    func length(_ lengths: [Int], _ expected: Int) {
        let vector = TestVector(lengths)
        #expect(tcmu_iovec_length(vector.base, lengths.count) == expected)
    }

    @Test("A length that does not fit saturates")
    func lengthSaturates() {
        var elements = [iovec(iov_base: nil, iov_len: Int(bitPattern: UInt.max)), iovec(iov_base: nil, iov_len: 1)]
        #expect(tcmu_iovec_length(&elements, 2) == Int(bitPattern: UInt.max))
    }

    static let seeks: [(lengths: [Int], count: Int, usedUp: Int, left: [Int])] = [
        ([4, 4], 0, 0, [4, 4]), ([4, 4], 3, 0, [1, 4]), ([4, 4], 4, 1, [0, 4]), ([4, 4], 5, 1, [0, 3]),
        ([4, 4], 8, 2, [0, 0]), ([0, 4], 4, 2, [0, 0]), ([2, 0, 4], 3, 2, [0, 0, 3]),
    ]

    @Test("Seeking consumes bytes and counts the elements that are used up", arguments: seeks)
    func seek(_ row: (lengths: [Int], count: Int, usedUp: Int, left: [Int])) {
        let vector = TestVector(row.lengths)
        #expect(tcmu_iovec_seek(vector.base, row.count) == row.usedUp)
        #expect(vector.lengths(row.lengths.count) == row.left)
    }

    @Test("Seeking and comparing stop at the host's end of a vector, however much a handler asks for")
    func endOfVector() {
        var bytes: [UInt8] = [1, 2, 3, 4]
        bytes.withUnsafeMutableBytes { memory in
            let end = iovec(iov_base: nil, iov_len: 0)
            var elements = [iovec(iov_base: memory.baseAddress, iov_len: 4), end]
            var expected: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
            #expect(tcmu_iovec_compare(&expected, &elements, 8) == 4)
            #expect(tcmu_iovec_compare(&expected, &elements, 4) == -1)
            #expect(tcmu_iovec_seek(&elements, 100) == 1)
            #expect(tcmu_iovec_compare(&expected, &elements[1], 8) == 0)
        }
    }

    @Test("Seeking in a command stays within its data")
    func commandSeek() {
        let vector = TestVector([4, 4])
        var command = tcmulib_cmd()
        command.iovec = vector.base
        command.iov_cnt = 2
        tcmu_cmd_seek(&command, 5)
        #expect(command.iov_cnt == 1)
        #expect(command.iovec.pointee.iov_len == 3)
        tcmu_cmd_seek(&command, 100)
        #expect(command.iov_cnt == 0)
    }

    @Test(
        "Comparing finds the first byte that differs",
        arguments: [(nil, 10, -1), (0, 10, 0), (3, 10, 3), (4, 10, 4), (9, 10, 9), (9, 9, -1), (0, 0, -1)]
            as [(Int?, Int, Int)])
    func compare(_ changed: Int?, _ size: Int, _ expected: Int) {
        let vector = TestVector([4, 0, 6]) { UInt8($0) }
        var memory = (0..<10).map { UInt8($0) }
        if let changed { memory[changed] ^= 0x80 }
        #expect(tcmu_iovec_compare(&memory, vector.base, size) == expected)
    }

    @Test("Zeroing writes every element, and only then is the vector zero")
    func zero() {
        let vector = TestVector([3, 0, 5]) { _ in 0xAA }
        #expect(!tcmu_iovec_zeroed(vector.base, 3))
        tcmu_iovec_zero(vector.base, 3)
        #expect(vector.bytes.allSatisfy { $0 == 0 })
        #expect(tcmu_iovec_zeroed(vector.base, 3))
        vector.bytes[7] = 1
        #expect(!tcmu_iovec_zeroed(vector.base, 3))
        #expect(tcmu_iovec_zeroed(vector.base, 0))
    }

    @Test("Copying moves what there is room for and consumes the vector", arguments: [0, 1, 4, 5, 9, 10, 20])
    func copy(_ byteCount: Int) {
        let moved = min(byteCount, 10)
        let left = [max(4 - moved, 0), 0, 6 - max(moved - 4, 0)]
        var source = (0..<20).map { UInt8($0 + 1) }

        let into = TestVector([4, 0, 6])
        #expect(tcmu_memcpy_into_iovec(into.base, 3, &source, byteCount) == moved)
        #expect(Array(into.bytes) == source[..<moved] + [UInt8](repeating: 0, count: 10 - moved))
        #expect(into.lengths(3) == left)

        let from = TestVector([4, 0, 6]) { UInt8($0 + 1) }
        var destination = [UInt8](repeating: 0, count: 20)
        #expect(tcmu_memcpy_from_iovec(&destination, byteCount, from.base, 3) == moved)
        #expect(destination == source[..<moved] + [UInt8](repeating: 0, count: 20 - moved))
        #expect(from.lengths(3) == left)
    }
}
