// SPDX-License-Identifier: Apache-2.0

/// What is read and written, in which order.
package enum Access: String, CaseIterable, Sendable {
    case read, write, rw, randread, randwrite, randrw

    var isRandom: Bool {
        switch self {
        case .randread, .randwrite, .randrw: true
        case .read, .write, .rw: false
        }
    }

    package var writes: Bool { self != .read && self != .randread }

    package var isMixed: Bool { self == .rw || self == .randrw }
}

/// Which parts of PDUs a CRC32C is asked for.
package enum DigestChoice: String, CaseIterable, Sendable {
    case none, header, data, both

    var hasHeader: Bool { self == .header || self == .both }
    var hasData: Bool { self == .data || self == .both }
}

/// A load as it was asked for.
package struct LoadOptions: Equatable, Sendable {
    package var url: LoadURL
    package var access = Access.randread
    /// Of a hundred commands in `rw` and `randrw`, how many read. Nil: `defaultReadPercent`.
    package var readPercent: Int?
    /// Bytes of each command.
    package var blockByteCount = 4096
    /// Commands outstanding on each connection.
    package var queueDepth = 32
    /// Sessions of one connection each.
    package var connectionCount = 1
    package var threadCount = 1
    /// How long is measured.
    package var seconds = 5.0
    /// Before that, not counted.
    package var warmUpSeconds = 1.0
    /// Bytes of the LUN that are used. Nil: all from `offset` on, or as much as can be verified.
    package var areaByteCount: UInt64?
    /// Bytes of the LUN before the area.
    package var offset: UInt64 = 0
    package var verifies = false
    package var isDestructive = false
    package var seed: UInt64 = 1
    package var digests = DigestChoice.none
    /// Never sleep while waiting for the target.
    package var polls = false
    package var serverProcess: Int32?
    package var initiatorName = defaultInitiatorName

    package static let defaultInitiatorName = "iqn.2026-11.org.martlet:bench"
    package static let defaultReadPercent = 70

    package init(url: LoadURL) { self.url = url }

    /// Bytes: the smallest block of a disk, and what a READ(10) of such blocks can name.
    static let blockByteCounts = 512...16 << 20
    static let queueDepths = 1...4096
    static let connectionCounts = 1...1024
    static let threadCounts = 1...256
    static let longestSeconds = 86_400.0
    static let shortestSeconds = 0.01
    /// Bytes of an area that is written and read back whole, with a count of writes for each command's place.
    package static let verifiedAreaLimit: UInt64 = 1 << 30
    /// Bytes of all commands that are outstanding while contents are verified: each has memory of its own.
    static let verifiedBufferLimit = 1 << 30

    /// Throws the sentence about the first option that cannot be.
    package func check() throws(LoadFailure) {
        guard Self.blockByteCounts.contains(blockByteCount), blockByteCount % 512 == 0 else {
            throw .usage("--block-size takes a multiple of 512 from 512 to 16M, not \(blockByteCount)")
        }
        try Self.check("--queue-depth", queueDepth, Self.queueDepths)
        try Self.check("--connections", connectionCount, Self.connectionCounts)
        try Self.check("--threads", threadCount, Self.threadCounts)
        guard threadCount <= connectionCount else {
            throw .usage("--threads \(threadCount) needs as many --connections, not \(connectionCount)")
        }
        try checkTimes()
        try checkMix()
        try checkArea()
        try checkVerification()
        if let serverProcess, serverProcess <= 0 {
            throw .usage("--server-pid takes the number of a process, not \(serverProcess)")
        }
        if let defect = ISCSINodeName.defect(of: initiatorName) {
            throw .usage("--initiator-name \"\(initiatorName)\" \(defect)")
        }
        guard !access.writes && !verifies || isDestructive else {
            let cause = access.writes ? "--rw \(access.rawValue)" : "--verify"
            throw .usage("\(cause) overwrites what is on \(url): add --destructive if nobody needs it")
        }
    }

    private func checkTimes() throws(LoadFailure) {
        guard seconds >= Self.shortestSeconds, seconds <= Self.longestSeconds else {
            throw .usage("--seconds takes \(Self.shortestSeconds) to 86400, not \(seconds)")
        }
        guard warmUpSeconds >= 0, warmUpSeconds <= Self.longestSeconds else {
            throw .usage("--warm-up takes 0 to 86400 seconds, not \(warmUpSeconds)")
        }
    }

    private func checkMix() throws(LoadFailure) {
        guard let readPercent else { return }
        guard access.isMixed else {
            throw .usage("--mix belongs to --rw rw and --rw randrw, not to --rw \(access.rawValue)")
        }
        try Self.check("--mix", readPercent, 0...100)
    }

    private func checkArea() throws(LoadFailure) {
        guard offset % UInt64(512) == 0 else { throw .usage("--offset takes a multiple of 512, not \(offset)") }
        guard let areaByteCount else { return }
        guard areaByteCount >= UInt64(blockByteCount) else {
            throw .usage(
                "--area of \(ByteSize.describe(areaByteCount)) has no room for a command of "
                    + ByteSize.describe(UInt64(blockByteCount)))
        }
    }

    private func checkVerification() throws(LoadFailure) {
        guard verifies else { return }
        guard areaByteCount ?? 0 <= Self.verifiedAreaLimit else {
            throw .usage(
                "--area may be \(ByteSize.describe(Self.verifiedAreaLimit)) at most with --verify, not "
                    + ByteSize.describe(areaByteCount ?? 0))
        }
        guard connectionCount * queueDepth * blockByteCount <= Self.verifiedBufferLimit else {
            throw .usage(
                "--verify keeps the data of all outstanding commands, and \(connectionCount) connections with "
                    + "\(queueDepth) commands of \(ByteSize.describe(UInt64(blockByteCount))) each are more than "
                    + ByteSize.describe(UInt64(Self.verifiedBufferLimit)))
        }
    }

    private static func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws(LoadFailure) {
        guard range.contains(value) else {
            throw .usage("\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
    }
}

/// Options out of what stands on the command line.
extension LoadOptions {
    package static func byteCount(_ text: String, option: String) throws(LoadFailure) -> UInt64 {
        guard let byteCount = ByteSize.parse(text) else {
            throw .usage("\(option) takes a number of bytes, perhaps with K, M, G or T behind it, not \"\(text)\"")
        }
        return byteCount
    }

    package static func access(_ text: String) throws(LoadFailure) -> Access {
        guard let access = Access(rawValue: text) else {
            throw .usage("--rw takes one of \(names(Access.allCases.map(\.rawValue))), not \"\(text)\"")
        }
        return access
    }

    package static func digests(_ text: String) throws(LoadFailure) -> DigestChoice {
        guard let digests = DigestChoice(rawValue: text) else {
            throw .usage("--digests takes one of \(names(DigestChoice.allCases.map(\.rawValue))), not \"\(text)\"")
        }
        return digests
    }

    private static func names(_ all: [String]) -> String { all.joined(separator: ", ") }
}
