// SPDX-License-Identifier: Apache-2.0

public import SCSI
public import TargetCore

/// What a request does, in the words of the option `on`.
public enum FaultOperation: String, CaseIterable, Sendable {
    case read
    case write
    case flush
    case unmap
    case writeSame = "write-same"
    case writeZeroes = "write-zeroes"
    case compareAndWrite = "compare-and-write"
    case blockStatus = "block-status"
    /// A CDB that a handler is shown as such, and that is none of the others.
    case command

    public static let names = allCases.map(\.rawValue)
}

/// What a fault may befall: an operation, and the logical blocks that it is about.
public struct FaultSubject: Equatable, Sendable {
    public var operation: FaultOperation
    /// Nil: it is about none in particular.
    public var blocks: Range<UInt64>?

    public init(_ operation: FaultOperation, blocks: Range<UInt64>? = nil) {
        self.operation = operation
        self.blocks = blocks
    }

    /// `takesOnlyCDBs`: the device is shown every command as a CDB, so that the CDB tells what it does. Where a device
    /// is only offered CDBs first, those that it leaves to the core come again as what they are.
    public init(_ request: BlockRequest, blockByteCount: Int, takesOnlyCDBs: Bool) {
        switch request.operation {
        case .read: self.init(.read, request, blockByteCount)
        case .write: self.init(.write, request, blockByteCount)
        case .flush: self.init(.flush)
        case .unmap: self.init(.unmap, request, blockByteCount)
        case .writeSame: self.init(.writeSame, request, blockByteCount)
        case .writeZeroes: self.init(.writeZeroes, request, blockByteCount)
        case .compareAndWrite: self.init(.compareAndWrite, request, blockByteCount)
        case .blockStatus: self.init(.blockStatus, request, blockByteCount)
        case .passthrough:
            if takesOnlyCDBs { self.init(request.cdb) } else { self.init(.command) }
        }
    }

    private init(_ operation: FaultOperation, _ request: BlockRequest, _ blockByteCount: Int) {
        let first = request.byteOffset / UInt64(blockByteCount)
        self.init(operation, blocks: first..<first + request.extentByteCount / UInt64(blockByteCount))
    }

    /// SBC-4 5.
    public init(_ cdb: CommandDescriptorBlock) {
        switch cdb.opcode {
        case 0x08: self.init(.read, BlockAccess(sixByte: cdb))
        case 0x28: self.init(.read, BlockAccess(tenByte: cdb))
        case 0xA8: self.init(.read, BlockAccess(twelveByte: cdb))
        case 0x88: self.init(.read, BlockAccess(sixteenByte: cdb))
        case 0x0A: self.init(.write, BlockAccess(sixByte: cdb))
        case 0x2A, 0x2E: self.init(.write, BlockAccess(tenByte: cdb))
        case 0xAA, 0xAE: self.init(.write, BlockAccess(twelveByte: cdb))
        case 0x8A, 0x8E: self.init(.write, BlockAccess(sixteenByte: cdb))
        case 0x41: self.init(.writeSame, BlockAccess(tenByte: cdb))
        case 0x93: self.init(.writeSame, BlockAccess(sixteenByte: cdb))
        case 0x35, 0x91: self.init(.flush)
        case 0x42: self.init(.unmap)
        case 0x89: self.init(.compareAndWrite)
        default: self.init(.command)
        }
    }

    private init(_ operation: FaultOperation, _ access: BlockAccess) {
        // A CDB that a device is shown unchecked may name any address.
        let (end, overflow) = access.range.lba.addingReportingOverflow(access.range.count)
        self.init(operation, blocks: access.range.lba..<(overflow ? .max : end))
    }

    /// Whether it moves data of the medium to the initiator.
    public var isRead: Bool { operation == .read }
    public var movesData: Bool { operation == .read || operation == .write }
}
