// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import TargetCore

/// The extension table of a handler (martlet-handler.h), as far as both sides know it: fields that the handler's
/// table is too short for are absent, fields that it has beyond ours are not looked at.
struct HandlerExtension: Sendable {
    static let symbol = MARTLET_HANDLER_EXTENSION_SYMBOL

    /// No table: every callout is absent.
    static let none = HandlerExtension()

    let table: martlet_handler_extension
    /// What its author should know of the table, in words; nil when it is as its version says.
    let remark: String?

    private init() {
        table = martlet_handler_extension()
        remark = nil
    }

    /// Copies what lies within the smaller of the two sizes. Nil when the table is too short for its own head, or
    /// says version 0.
    ///
    /// `source` points to the handler's table, which begins with its byte count and lives as long as the process.
    init?(copying source: UnsafeRawPointer) {
        let headByteCount = MemoryLayout<martlet_handler_extension>.offset(of: \.version)! + MemoryLayout<UInt32>.size
        let shownByteCount = unsafe source.load(as: Int.self)
        guard shownByteCount >= headByteCount else { return nil }
        var copy = martlet_handler_extension()
        unsafe withUnsafeMutableBytes(of: &copy) { ours in
            // No more than the handler shows and no more than there is room for. Fields come in whole words: a part
            // of one is no pointer.
            let byteCount = min(ours.count, shownByteCount & ~(MemoryLayout<UInt>.size - 1))
            unsafe ours.copyMemory(from: UnsafeRawBufferPointer(start: source, count: byteCount))
        }
        guard copy.version != 0 else { return nil }
        table = copy
        remark = Self.remark(on: copy, shownByteCount: shownByteCount)
    }

    /// Bytes of the table as versions 1 and on have it.
    private static let byteCounts = [
        MARTLET_HANDLER_EXTENSION_SIZE_1, MARTLET_HANDLER_EXTENSION_SIZE_2, MARTLET_HANDLER_EXTENSION_SIZE_3,
        MARTLET_HANDLER_EXTENSION_SIZE_4,
    ].map(Int.init)

    /// Flags that a version of the table knows, by version.
    private static let flags: [UInt32] = [
        UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO) | UInt32(MARTLET_HANDLER_NEVER_BLOCKS),
        UInt32(MARTLET_HANDLER_VECTORED) | UInt32(MARTLET_HANDLER_WRITE_COPIES),
        UInt32(MARTLET_HANDLER_ZEROING_UNMAPS),
        0,
    ]

    private static func remark(on table: martlet_handler_extension, shownByteCount: Int) -> String? {
        // Of a version to come nothing is known but that it holds the ones before.
        let version = min(Int(table.version), byteCounts.count)
        if shownByteCount < byteCounts[version - 1] {
            return "its extension table says version \(table.version), which has \(byteCounts[version - 1]) bytes "
                + "or more, but is \(shownByteCount) bytes long: what is missing counts as absent"
        }
        guard table.version <= byteCounts.count else { return nil }
        let known = flags.prefix(version).reduce(0, |)
        guard table.flags & ~known != 0 else { return nil }
        return "its extension table sets flags that version \(table.version) does not have "
            + "(0x\(String(table.flags & ~known, radix: 16)))"
    }

    var version: UInt32 { table.version }
    var unmappedReadsZero: Bool { has(UInt32(MARTLET_HANDLER_UNMAPPED_READS_ZERO)) }
    var neverBlocks: Bool { has(UInt32(MARTLET_HANDLER_NEVER_BLOCKS)) }
    var canProbe: Bool { unsafe table.probe != nil }
    var canReportBlockStatus: Bool { unsafe table.block_status != nil }

    /// read and write take any number of elements.
    var isVectored: Bool { has(UInt32(MARTLET_HANDLER_VECTORED)) }
    /// write takes its data before it returns.
    var writesCopy: Bool { has(UInt32(MARTLET_HANDLER_WRITE_COPIES)) }
    var canMapReads: Bool { unsafe table.map_read != nil }
    var takesBatches: Bool {
        unsafe neverBlocks && table.completion_descriptor != nil && table.submit != nil && table.reap != nil
    }

    private func has(_ flag: UInt32) -> Bool { table.flags & flag != 0 }

    /// What the handler says of a store before it is opened.
    struct Probe: Sendable, Equatable {
        /// Nil: not known.
        var byteCount: UInt64?
        /// Nil: any.
        var blockByteCount: Int?
        /// The store is missing, and open will make it with the configured size.
        var willCreate = false
        var isReadOnly = false
    }

    struct ProbeFailure: Error, Equatable {
        var words: String
    }

    /// Nil without a probe callout. May block.
    func probe(_ configString: String) throws(ProbeFailure) -> Probe? {
        guard let callout = unsafe table.probe else { return nil }
        var answer = martlet_probe()
        answer.size = MemoryLayout<martlet_probe>.size
        // Both arguments are ours and live beyond the call.
        let result = unsafe configString.withCString { unsafe callout($0, &answer) }
        guard result == 0 else { throw ProbeFailure(words: Self.reason(&answer, result)) }
        return Probe(
            byteCount: answer.byte_count == 0 ? nil : answer.byte_count,
            blockByteCount: answer.block_byte_count == 0 ? nil : Int(answer.block_byte_count),
            willCreate: answer.flags & UInt32(MARTLET_PROBE_WILL_CREATE) != 0,
            isReadOnly: answer.flags & UInt32(MARTLET_PROBE_READ_ONLY) != 0)
    }

    private static func reason(_ answer: inout martlet_probe, _ result: Int32) -> String {
        let words = unsafe withUnsafeBytes(of: &answer.reason) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return words.isEmpty ? SystemFiles.words(for: result.magnitude > 4095 ? 5 : abs(result)) : words
    }

    /// Extents that one call may answer.
    private static let extentCapacity = 128

    /// Fills `extents` with the state of `byteCount` bytes from `offset` on. False when the handler fails, or answers
    /// what is no answer: no extent, or one that is empty or not of whole blocks.
    func blockStatus(
        _ device: OpaquePointer, offset: UInt64, byteCount: UInt64, blockByteCount: Int,
        extents: inout [BlockStatusExtent]
    ) -> Bool {
        guard let callout = unsafe table.block_status else { return false }
        return unsafe withUnsafeTemporaryAllocation(of: martlet_extent.self, capacity: Self.extentCapacity) { room in
            // The handler is told how many extents there is room for.
            let count = unsafe Int(callout(device, offset, byteCount, room.baseAddress, room.count))
            guard count > 0, count <= Self.extentCapacity else { return false }
            for index in 0..<count {
                let extent = unsafe room[index]
                guard extent.byte_count != 0, extent.byte_count % UInt64(blockByteCount) == 0 else { return false }
                extents.append(
                    BlockStatusExtent(
                        byteCount: extent.byte_count, isMapped: extent.flags & UInt32(MARTLET_EXTENT_MAPPED) != 0))
            }
            return true
        }
    }
}

// Version 2: memory and batches. `device` is open in all of them.
extension HandlerExtension {
    /// Nil without the callout, too.
    func mapRead(_ device: OpaquePointer, byteOffset: UInt64, byteCount: Int) -> UnsafeRawPointer? {
        unsafe table.map_read?(device, byteOffset, UInt64(byteCount))
    }

    /// A descriptor of the handler's, or a negative number: no batches.
    func completionDescriptor(_ device: OpaquePointer) -> CInt { unsafe table.completion_descriptor?(device) ?? -1 }

    func submit(_ device: OpaquePointer) { unsafe table.submit?(device) }

    /// Commands completed.
    func reap(_ device: OpaquePointer) -> Int { unsafe table.reap?(device) ?? 0 }
}

// Version 3: zeroes, cancelling, health. `device` is open in all of them.
extension HandlerExtension {
    var canWriteZeroes: Bool { unsafe table.write_zeroes != nil }
    /// UNMAP is done by writing zeroes that need no storage.
    var zeroingUnmaps: Bool { has(UInt32(MARTLET_HANDLER_ZEROING_UNMAPS)) && canWriteZeroes }
    var canCancel: Bool { unsafe table.cancel != nil }
    var canTellHealth: Bool { unsafe table.health != nil }

    /// As a callout of the handler's; nil without it.
    func writeZeroes(
        _ device: OpaquePointer, _ command: UnsafeMutablePointer<tcmur_cmd>, byteOffset: UInt64, byteCount: UInt64,
        mayUnmap: Bool
    ) -> Int32? {
        let flags = mayUnmap ? UInt32(MARTLET_WRITE_ZEROES_MAY_UNMAP) : 0
        return unsafe table.write_zeroes?(device, command, byteOffset, byteCount, flags)
    }

    func cancel(_ device: OpaquePointer, _ command: UnsafeMutablePointer<tcmur_cmd>) {
        unsafe table.cancel?(device, command)
    }

    /// Nil: the handler tells nothing, or what is no answer.
    func health(_ device: OpaquePointer) -> DeviceHealth? {
        guard let callout = unsafe table.health else { return nil }
        var answer = martlet_health()
        answer.size = MemoryLayout<martlet_health>.size
        // The answer is ours and lives beyond the call.
        guard unsafe callout(device, &answer) == 0 else { return nil }
        let words = unsafe withUnsafeBytes(of: &answer.reason) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return switch answer.state {
        case UInt32(MARTLET_HEALTH_GOOD): DeviceHealth.good
        case UInt32(MARTLET_HEALTH_DEGRADED): DeviceHealth(.degraded, words)
        case UInt32(MARTLET_HEALTH_FAILED): DeviceHealth(.failed, words)
        default: nil
        }
    }
}

// Version 4: storage. `device` is open.
extension HandlerExtension {
    var canTellSpace: Bool { unsafe table.space != nil }

    /// Nil: it cannot be told, or is more than a medium of `byteCount` bytes has. May block.
    func space(_ device: OpaquePointer, byteCount: UInt64) -> MappingResources? {
        guard let callout = unsafe table.space else { return nil }
        var answer = martlet_space()
        answer.size = MemoryLayout<martlet_space>.size
        // The answer is ours and lives beyond the call.
        guard unsafe callout(device, &answer) == 0, answer.used_byte_count <= byteCount,
            answer.available_byte_count <= byteCount - answer.used_byte_count
        else { return nil }
        return MappingResources(
            usedByteCount: answer.used_byte_count, availableByteCount: answer.available_byte_count)
    }
}
