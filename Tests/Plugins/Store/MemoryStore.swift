// SPDX-License-Identifier: Apache-2.0

import HandlerKit
import Synchronization

/// A medium in memory for the handlers that tests load, and what was asked of it.
public final class MemoryStore: Sendable {
    struct State {
        var bytes: [UInt8] = []
        /// By block: it has been written since it was unmapped.
        var isMapped: [Bool] = []
        var calls: [String: Int] = [:]
    }

    public static let blockByteCount = 512
    private let state = Mutex(State())

    public init(byteCount: Int) { resize(byteCount: byteCount) }

    /// Counts a call of the method `name`.
    public func note(_ name: String) { state.withLock { $0.calls[name, default: 0] += 1 } }

    /// "close 1, flush 2, …": the calls so far, in the order of the alphabet.
    public var calls: String {
        state.withLock { $0.calls.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ") }
    }

    public func resize(byteCount: Int) {
        state.withLock { state in
            state.bytes = Array(state.bytes.prefix(byteCount))
            state.bytes += [UInt8](repeating: 0, count: byteCount - state.bytes.count)
            let blockCount = byteCount / Self.blockByteCount
            state.isMapped = Array(state.isMapped.prefix(blockCount))
            state.isMapped += [Bool](repeating: false, count: blockCount - state.isMapped.count)
        }
    }

    public func read(into bytes: inout MutableRawSpan, at offset: UInt64) {
        bytes.withUnsafeMutableBytes { buffer in
            state.withLock { buffer.copyBytes(from: $0.bytes[Int(offset)..<(Int(offset) + buffer.count)]) }
        }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) {
        bytes.withUnsafeBytes { buffer in
            state.withLock { Self.write(Array(buffer), at: Int(offset), &$0) }
        }
    }

    private static func write(_ bytes: [UInt8], at offset: Int, _ state: inout State) {
        state.bytes.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        for block in (offset / blockByteCount)..<((offset + bytes.count) / blockByteCount) {
            state.isMapped[block] = true
        }
    }

    public func writeSame(_ block: RawSpan, at offset: UInt64, byteCount: UInt64) {
        let copies = Int(byteCount) / block.byteCount
        let all = block.withUnsafeBytes { buffer in (0..<copies).flatMap { _ in Array(buffer) } }
        state.withLock { Self.write(all, at: Int(offset), &$0) }
    }

    /// `keepsStorage`: the blocks count as written.
    public func zero(at offset: UInt64, byteCount: UInt64, keepsStorage: Bool) {
        state.withLock { state in
            Self.write([UInt8](repeating: 0, count: Int(byteCount)), at: Int(offset), &state)
            guard !keepsStorage else { return }
            for block in (Int(offset) / Self.blockByteCount)..<(Int(offset + byteCount) / Self.blockByteCount) {
                state.isMapped[block] = false
            }
        }
    }

    public func compareAndWrite(_ expected: RawSpan, _ new: RawSpan, at offset: UInt64) throws(HandlerError) {
        let wanted = expected.withUnsafeBytes { Array($0) }
        let replacement = new.withUnsafeBytes { Array($0) }
        let difference: Int? = state.withLock { state in
            let found = state.bytes[Int(offset)..<(Int(offset) + wanted.count)]
            if let index = zip(found, wanted).enumerated().first(where: { $1.0 != $1.1 })?.offset { return index }
            Self.write(replacement, at: Int(offset), &state)
            return nil
        }
        if let difference { throw .miscompare(atByte: UInt32(difference)) }
    }

    public func status(at offset: UInt64, byteCount: UInt64, into extents: inout ExtentList) {
        let isMapped = state.withLock { $0.isMapped }
        var block = Int(offset) / Self.blockByteCount
        let end = Int(offset + byteCount) / Self.blockByteCount
        while block < end, !extents.isFull {
            let first = block
            while block < end, isMapped[block] == isMapped[first] { block += 1 }
            extents.append(byteCount: UInt64((block - first) * Self.blockByteCount), isMapped: isMapped[first])
        }
    }
}

/// What a read of block N throws, in the order of N; block 0 can be read.
public enum Failures {
    public static let all: [HandlerError] = [
        .readError, .writeError, .hardwareError, .writeProtected, .outOfRange, .notSupported, .invalidFieldInCDB,
        .invalidFieldInParameterList, .parameterListLengthError, .busy, .noResource, .timeout,
        .miscompare(atByte: 17), .sense(key: 0x07, code: 0x2707),
    ]

    public static func check(_ offset: UInt64) throws(HandlerError) {
        let index = Int(offset) / MemoryStore.blockByteCount - 1
        if all.indices.contains(index) { throw all[index] }
    }
}

/// A command of no standard: [0Eh, what, …], with which a test asks the handler for something.
public enum Request: UInt8 {
    case loseConnection = 1
    case grow, answerCalls, answerIsReopening, fail, answerReceived, answerSerialNumber
    case answerMostAtOnce

    public init?(_ cdb: Span<UInt8>) {
        guard cdb[0] == 0x0E else { return nil }
        self.init(rawValue: cdb[1])
    }
}
