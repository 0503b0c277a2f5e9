// SPDX-License-Identifier: Apache-2.0

import SCSI

// Tuples in the buffer of a task. Offsets count from its start; slicing checks them against what the transport leased.
// Tuples stand in three ways: behind each block, as they are transferred; next to each other; and "stored", next to each
// other and complemented, as the device keeps them.
extension SCSITask {
    private static let tupleByteCount = ProtectionTuple.byteCount

    private func memory(_ offset: Int, _ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + byteCount])
    }

    /// Takes the tuples from between `count` blocks at the start of the buffer, so that the data stand together and the
    /// tuples at `tuples`.
    func separateTuples(_ count: Int, blockByteCount: Int, into tuples: Int) {
        let width = blockByteCount + Self.tupleByteCount
        let data = unsafe memory(0, count * width)
        let target = unsafe memory(tuples, count * Self.tupleByteCount)
        for index in 0..<count {
            let block = unsafe UnsafeRawBufferPointer(rebasing: data[index * width..<(index + 1) * width])
            // The tuple first: the block, moved down, may end in it.
            unsafe target.storeBytes(
                of: block.loadUnaligned(fromByteOffset: blockByteCount, as: UInt64.self),
                toByteOffset: index * Self.tupleByteCount, as: UInt64.self)
            unsafe memory(index * blockByteCount, blockByteCount).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: block[..<blockByteCount]))
        }
    }

    /// Puts stored tuples behind each of `count` blocks at the start of the buffer, which has room for them.
    func joinTuples(_ count: Int, blockByteCount: Int, stored: Int) {
        let width = blockByteCount + Self.tupleByteCount
        let source = unsafe memory(stored, count * Self.tupleByteCount)
        // From the last: a block moves up into room that nobody needs any more.
        for index in stride(from: count - 1, through: 0, by: -1) {
            unsafe memory(index * width, blockByteCount).copyMemory(
                from: UnsafeRawBufferPointer(memory(index * blockByteCount, blockByteCount)))
            let tuple = unsafe ~source.loadUnaligned(
                fromByteOffset: index * Self.tupleByteCount, as: UInt64.self)
            unsafe memory(index * width, width).storeBytes(
                of: tuple, toByteOffset: blockByteCount, as: UInt64.self)
        }
    }

    func tuple(at offset: Int, isStored: Bool) -> ProtectionTuple {
        let word = unsafe UInt64(bigEndian: memory(offset, 8).loadUnaligned(as: UInt64.self))
        return ProtectionTuple(word: isStored ? ~word : word)
    }

    func setTuple(_ tuple: ProtectionTuple, at offset: Int) {
        unsafe memory(offset, 8).storeBytes(of: tuple.word.bigEndian, as: UInt64.self)
    }

    func guardTag(ofDataAt offset: Int, blockByteCount: Int) -> UInt16 {
        CRC16T10DIF.of(unsafe UnsafeRawBufferPointer(memory(offset, blockByteCount)).bytes)
    }

    /// Copies `count` tuples to where the device's are.
    func storeTuples(_ count: Int, from tuples: Int, at stored: Int) {
        let source = unsafe memory(tuples, count * Self.tupleByteCount)
        let target = unsafe memory(stored, count * Self.tupleByteCount)
        for offset in stride(from: 0, to: count * Self.tupleByteCount, by: Self.tupleByteCount) {
            let word = unsafe ~source.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            unsafe target.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
        }
    }

    /// The same of escapes.
    func storeEscapes(_ count: Int, at stored: Int) {
        unsafe memory(stored, count * Self.tupleByteCount).initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Makes the tuples of `count` blocks of data that came without. `lba`: the first block of the command.
    func generateTuples(
        _ count: Int, lba: UInt64, dataAt data: Int, blockByteCount: Int, into tuples: Int, _ protection: UnitProtection
    ) {
        for index in 0..<count {
            let guardTag = guardTag(ofDataAt: data + index * blockByteCount, blockByteCount: blockByteCount)
            setTuple(
                protection.generated(guardTag: guardTag, lba: lba, index: UInt64(index), cdb: cdb),
                at: tuples + index * Self.tupleByteCount)
        }
    }

    /// The first of `count` blocks whose tags are not what `expectation`, which counts from `expectedIndex`, says.
    /// Stored tuples may be escapes, of whose blocks nothing is checked.
    func firstFault(
        _ count: Int, dataAt data: Int, blockByteCount: Int, tuplesAt tuples: Int, isStored: Bool,
        _ expectation: ProtectionExpectation, from expectedIndex: UInt64 = 0, _ type: ProtectionType
    ) -> (index: UInt64, fault: ProtectionFault)? {
        if expectation.isNothing { return nil }
        for index in 0..<count {
            let tuple = tuple(at: tuples + index * Self.tupleByteCount, isStored: isStored)
            if isStored, tuple.disablesChecks(type) { continue }
            let fault = expectation.fault(
                of: tuple, atBlock: expectedIndex + UInt64(index),
                guardTag: guardTag(ofDataAt: data + index * blockByteCount, blockByteCount: blockByteCount))
            if let fault { return (UInt64(index), fault) }
        }
        return nil
    }
}
