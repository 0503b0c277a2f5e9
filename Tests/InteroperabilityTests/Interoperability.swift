// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Everything that drives the built server from outside, one test at a time: each has the machine to itself.
@Suite(.serialized, .inThreadOfItsOwn)
enum Interoperability {
    /// `MARTLET_SOAK` in the environment asks for minutes where seconds do for every day.
    static let isSoak = ProcessInfo.processInfo.environment["MARTLET_SOAK"] != nil

    /// Where handlers of Debian's tcmu-runner were unpacked.
    static let tcmuHandlers = ProcessInfo.processInfo.environment["MARTLET_TCMU_HANDLERS"]

    static let seed: UInt64 =
        ProcessInfo.processInfo.environment["MARTLET_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)

    /// Two runs of bytes are the same; when not, only the first difference is shown.
    static func expectEqual(
        _ found: some Collection<UInt8>, _ wanted: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let difference = zip(found, wanted).enumerated().first { $1.0 != $1.1 }?.offset
        #expect(difference == nil, "the first byte that differs", sourceLocation: sourceLocation)
        #expect(found.count == wanted.count, sourceLocation: sourceLocation)
    }

    /// A new session can log in, write and read: whatever happened before did no lasting harm.
    static func expectServes(
        _ url: LogicalUnitURL, lba: UInt64 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let initiator = try Initiator(url)
        let content = Block.contents(lba: lba, blockCount: 8, generation: .random(in: 1...UInt64.max))
        try initiator.write(lba: lba, content)
        expectEqual(try initiator.read(lba: lba, blockCount: 8), content, sourceLocation: sourceLocation)
    }
}
