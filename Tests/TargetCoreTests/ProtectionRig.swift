// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

/// A unit with protection information: 1024 blocks of 512 bytes, and a store of their tuples.
struct ProtectionRig {
    let rig: Rig
    let tuples: FakeDevice

    var device: FakeDevice { rig.device }
    var initiator: Initiator { rig.initiator }

    init(
        _ type: ProtectionType, isTagOwnedByInitiator: Bool = false, device: FakeDevice = FakeDevice(),
        tuples: FakeDevice? = nil, features change: (inout BlockDeviceFeatures) -> Void = { _ in }
    ) {
        let store = tuples ?? FakeDevice(blockCount: device.blockCount / 64)
        var features = device.features
        change(&features)
        device.features = features
        store.features.hasVolatileWriteCache = features.hasVolatileWriteCache
        self.tuples = store
        rig = Rig(device) {
            var options = ProtectionOptions(type: type, tuples: store)
            options.isTagOwnedByInitiator = isTagOwnedByInitiator
            $0.protection = options
        }
    }

    /// The tuple that is kept for a block.
    func tuple(_ lba: Int) -> ProtectionTuple {
        let bytes = tuples.contents[lba * 8..<lba * 8 + 8].map { ~$0 }
        return ProtectionTuple(word: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }

    func setTuple(_ tuple: ProtectionTuple, _ lba: Int) {
        var contents = tuples.contents
        contents.replaceSubrange(lba * 8..<lba * 8 + 8, with: tuple.word.bytes.map { ~$0 })
        tuples.contents = contents
    }

    func forgetLogs() {
        device.forgetLog()
        tuples.forgetLog()
    }
}

enum ProtectedData {
    /// A block that differs from others.
    static func block(_ seed: Int) -> [UInt8] { (0..<512).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ seed) } }

    /// The tuple of a block, with these tags.
    static func tuple(_ block: [UInt8], reference: UInt32, application: UInt16 = 0) -> ProtectionTuple {
        ProtectionTuple(
            guardTag: CRC16T10DIF.of(block.span.bytes), applicationTag: application, referenceTag: reference)
    }

    /// Blocks with their tuples behind each, as they are transferred.
    static func transferred(_ blocks: [[UInt8]], reference: UInt32, application: UInt16 = 0) -> [UInt8] {
        blocks.indices.flatMap { index in
            blocks[index]
                + tuple(blocks[index], reference: reference &+ UInt32(index), application: application).word.bytes
        }
    }
}

/// READ, WRITE and their like in the form that the type transfers protection information with: 16 bytes, or 32 with
/// type 2.
struct ProtectedCDB {
    enum Command: UInt8, Sendable {
        case read = 0x88
        case write = 0x8A
        case verify = 0x8F
        case writeAndVerify = 0x8E
        case writeSame = 0x93

        var serviceAction: UInt8 {
            switch self {
            case .read: 0x09
            case .verify: 0x0A
            case .write: 0x0B
            case .writeAndVerify: 0x0C
            case .writeSame: 0x0D
            }
        }
    }

    var type: ProtectionType
    var field: UInt8
    var flags: UInt8 = 0
    /// With 32 bytes: the reference tag of the first block; nil: its LBA.
    var reference: UInt32?
    var application: UInt16 = 0
    var mask: UInt16 = 0

    func bytes(_ command: Command, _ lba: UInt64, _ count: UInt32) -> [UInt8] {
        let byte = field << 5 | flags
        guard type == .type2, field != 0 || reference != nil else {
            return joined([command.rawValue, byte], lba.bytes, count.bytes, [0, 0])
        }
        return joined(
            [0x7F, 0, 0, 0, 0, 0, 0, 24, 0, command.serviceAction, byte, 0], lba.bytes,
            (reference ?? UInt32(lba)).bytes, application.bytes, mask.bytes, count.bytes)
    }
}
