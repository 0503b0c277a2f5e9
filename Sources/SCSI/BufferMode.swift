// SPDX-License-Identifier: Apache-2.0

/// MODE of READ BUFFER(10), READ BUFFER(16) and WRITE BUFFER (SPC-4 6.18, 6.49), as far as a disk here has them.
public enum BufferMode: UInt8, Sendable {
    case data = 0x02
    /// READ BUFFER only.
    case descriptor = 0x03
    case echoBuffer = 0x0A
    /// READ BUFFER only.
    case echoBufferDescriptor = 0x0B

    /// MODE is the low five bits of byte 1 in all three commands.
    public init?(_ cdb: CommandDescriptorBlock) {
        self.init(rawValue: cdb[1] & 0x1F)
    }

    public var isEcho: Bool { self == .echoBuffer || self == .echoBufferDescriptor }
}
