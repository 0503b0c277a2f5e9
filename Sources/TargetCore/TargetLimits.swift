// SPDX-License-Identifier: Apache-2.0

/// Bounds of the device server, each with its reason. What an initiator may know of them stands in VPD page B0h.
public enum TargetLimits {
    /// Bytes of one READ or WRITE: bounds the buffer that a single command can make a transport lease.
    public static let transferByteCount = 8 << 20

    /// Bytes of working memory in which VERIFY, WRITE SAME and their like go over the medium.
    public static let workByteCount = 1 << 20

    /// Blocks that one WRITE SAME covers, the most that the 10-byte command can name: bounds the time of a command that
    /// carries one block of data.
    public static let writeSameBlockCount: UInt64 = 0xFFFF

    /// NUMBER OF LOGICAL BLOCKS of COMPARE AND WRITE is one byte.
    public static let compareAndWriteBlockCount: UInt64 = 255

    /// UNMAP block descriptors of one command.
    public static let unmapDescriptorCount = 256

    /// Blocks of one UNMAP, whatever the store could take: bounds the time of one command.
    public static let unmapBlockCount: UInt32 = 1 << 20

    /// Descriptors in one answer to GET LBA STATUS.
    public static let lbaStatusDescriptorCount = 256

    /// Bytes of a parameter list that the device server looks at: the longest that any command here defines fits.
    public static let parameterListByteCount = 8 << 10

    /// Bytes of the buffer that READ BUFFER and WRITE BUFFER reach in data mode: what one logical unit keeps for that.
    public static let bufferByteCount = 64 << 10

    /// Bytes of the longest answer that is no medium data.
    public static let responseByteCount = 64 << 10

    /// CSCD descriptors and segment descriptors of one EXTENDED COPY: its parameter list is read whole.
    public static let copyTargetCount = 16
    public static let copySegmentCount = 64

    /// Copies of one I_T_L nexus that are under way: each has working memory.
    public static let concurrentCopyCount = 16

    /// Copies of one I_T_L nexus that can be asked about by their list identifiers.
    public static let copyRecordCount = 32

    /// ROD tokens of one logical unit that live: a write looks at each of them.
    public static let tokenCount = 64

    /// Block device range descriptors of one POPULATE TOKEN or WRITE USING TOKEN.
    public static let tokenRangeCount = 64

    /// Bytes that one token stands for, and one WRITE USING TOKEN writes: bounds the time of one command.
    public static let tokenByteCount = 64 << 20

    /// How long a token is kept that nobody uses; seconds.
    public static let defaultTokenInactivitySeconds: UInt32 = 60
    public static let maximumTokenInactivitySeconds: UInt32 = 600

    /// Logical units of one target: the flat space addressing method reaches so far (SAM-5 4.7.6.4).
    public static let logicalUnitCount = 16384

    /// Registrations of one logical unit: bounds what REGISTER can make the target keep.
    public static let registrationCount = 1024
}
