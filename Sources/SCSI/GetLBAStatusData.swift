// SPDX-License-Identifier: Apache-2.0

/// One LBA status descriptor: 16 bytes (SBC-4, GET LBA STATUS).
public struct LBAStatusDescriptor: Equatable, Sendable {
    public var lba: UInt64
    /// Blocks.
    public var count: UInt32
    public var status: ProvisioningStatus

    public enum ProvisioningStatus: UInt8, Sendable {
        /// Mapped, or the store cannot tell.
        case mapped = 0
        case deallocated = 1
        case anchored = 2
    }

    public init(lba: UInt64, count: UInt32, status: ProvisioningStatus) {
        self.lba = lba
        self.count = count
        self.status = status
    }
}

/// Parameter data of GET LBA STATUS (SBC-4): eight bytes, then the descriptors.
public struct GetLBAStatusData: Equatable, Sendable {
    public static let headerByteCount = 8
    public static let descriptorByteCount = 16

    /// Whole descriptors that fit into an allocation length.
    public static func descriptorCount(allocationLength: Int) -> Int {
        max(0, (allocationLength - headerByteCount) / descriptorByteCount)
    }

    public var descriptors: [LBAStatusDescriptor]

    public init(descriptors: [LBAStatusDescriptor]) {
        self.descriptors = descriptors
    }

    public func write(to writer: inout ParameterDataWriter) {
        let dataLength = writer.reserveLength(.fourBytes)
        writer.appendZeroes(4)
        for descriptor in descriptors {
            writer.append(descriptor.lba)
            writer.append(descriptor.count)
            writer.append(descriptor.status.rawValue)
            writer.appendZeroes(3)
        }
        writer.fill(dataLength)
    }
}
