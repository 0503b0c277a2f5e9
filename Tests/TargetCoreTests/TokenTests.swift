// SPDX-License-Identifier: Apache-2.0

import SCSI
import TargetCore
import Testing

@Suite("POPULATE TOKEN and WRITE USING TOKEN")
struct TokenTests {
    @Test("A token brings the blocks that it stands for, in its order, to a unit of the same initiator")
    func copy() {
        let rig = CopyRig()
        let token = rig.token([(100, 2), (10, 3)])
        #expect(rig.run(Token.write(token, [(50, 4), (7, 1)]), lun: CopyRig.lun1) == .good)
        for (lba, from) in [(50, 100), (51, 101), (52, 10), (53, 11), (7, 12)] {
            #expect(rig.devices[1].block(lba) == CopyRig.block(0, from))
        }
        #expect(rig.devices[1].block(54) == CopyRig.block(1, 54))
        #expect(rig.outcome(6, lun: CopyRig.lun1) == (0x01, 5))
    }

    @Test("It is a bearer token: another initiator that sees the source may use it, one that does not may not")
    func bearer() {
        let rig = CopyRig()
        let shared = rig.token([(100, 1)])
        #expect(rig.run(Token.write(shared, [(0, 1)]), by: rig.b, lun: CopyRig.lun1) == .good)
        #expect(rig.devices[2].block(0) == CopyRig.block(0, 100))
        #expect(rig.run(Token.populate([(9, 1)]), lun: CopyRig.lun1) == .good)
        let hidden = Array(rig.a.run(CopyResults.tokenInformation(5), lun: CopyRig.lun1).data.suffix(512))
        #expect(rig.run(Token.write(hidden, [(0, 1)]), by: rig.b, lun: CopyRig.lun1) == .check(.tokenUnknown))
        #expect(rig.devices[1].log.isEmpty)
    }

    @Test("OFFSET INTO ROD begins later; what the token lacks is not written, and that is told")
    func offset() {
        let rig = CopyRig()
        let token = rig.token([(100, 2), (10, 3)])
        #expect(rig.run(Token.write(token, [(50, 2)], offset: 1), lun: CopyRig.lun1) == .good)
        #expect(rig.devices[1].block(50) == CopyRig.block(0, 101))
        #expect(rig.devices[1].block(51) == CopyRig.block(0, 10))
        #expect(rig.run(Token.write(token, [(60, 9)], identifier: 8, offset: 4), lun: CopyRig.lun1) == .good)
        #expect(rig.devices[1].block(60) == CopyRig.block(0, 12))
        #expect(rig.devices[1].block(61) == CopyRig.block(1, 61))
        #expect(rig.outcome(8, lun: CopyRig.lun1) == (0x03, 1))
        for offset in [5, .max] as [UInt64] {
            let ended = rig.run(Token.write(token, [(60, 1)], offset: offset), lun: CopyRig.lun1)
            #expect(ended == .check(.invalidFieldInParameterList(byte: 8)))
        }
    }

    @Test("Units with blocks of two sizes share tokens where the pieces are whole blocks of both")
    func blockSizes() {
        let rig = CopyRig(blockByteCounts: [512, 4096, 512])
        let token = rig.token([(8, 16)])
        #expect(rig.run(Token.write(token, [(3, 1)], offset: 1), lun: CopyRig.lun1) == .good)
        #expect(rig.devices[1].block(3) == (16..<24).flatMap { CopyRig.block(0, $0) })
        let odd = rig.token([(8, 9)])
        #expect(
            rig.run(Token.write(odd, [(3, 2)]), lun: CopyRig.lun1) == .check(.copySegmentGranularityViolation))
    }

    @Test("The zero ROD token writes zeroes without end", arguments: [false, true])
    func zero(canWriteZeroes: Bool) {
        let rig = CopyRig { $1.canWriteZeroes = canWriteZeroes }
        #expect(rig.run(Token.write(Token.zero, [(5, 2), (3000, 1)])) == .good)
        for lba in [5, 6, 3000] { #expect(rig.devices[0].block(lba).allSatisfy { $0 == 0 }) }
        #expect(rig.devices[0].block(7) == CopyRig.block(0, 7))
        #expect(rig.devices[0].operations.allSatisfy { $0 == (canWriteZeroes ? .writeZeroes : .write) })
        #expect(rig.outcome(6) == (0x01, 3))
    }

    static let writes: [(cdb: [UInt8], byteCount: Int)] = [
        (CDB.write10(101, 1), 512), ([0x41, 0] + UInt32(101).bytes + [0, 0, 1, 0], 512),
        (CompareAndWriteTests.cdb(101, 1), 1024), ([0x2E, 0] + UInt32(101).bytes + [0, 0, 1, 0], 512),
    ]

    @Test("A write to any of its blocks revokes a token, and no other", arguments: writes.indices)
    func revoked(index: Int) {
        let rig = CopyRig()
        let near = rig.token([(102, 4)])
        let token = rig.token([(10, 1), (100, 2)])
        let (cdb, byteCount) = Self.writes[index]
        let old = CopyRig.block(0, 101)
        _ = rig.a.run(cdb, Array((old + old).prefix(byteCount)))
        #expect(rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1) == .check(.tokenRevoked))
        // Whole-medium commands may end others as well; these name their blocks.
        if cdb[0] == 0x2A { #expect(rig.run(Token.write(near, [(0, 1)]), lun: CopyRig.lun1) == .good) }
        #expect(rig.devices[1].operations.count(where: { $0 == .write }) <= 1)
    }

    @Test("UNMAP and copies revoke what they write to, and only that")
    func revokedByOthers() {
        let rig = CopyRig { $1.canUnmap = true }
        let tokens = [10, 20, 30, 40].map { rig.token([(UInt64($0), 1)]) }
        let unmap = joined([0, 22, 0, 16, 0, 0, 0, 0], UInt64(10).bytes, UInt32(1).bytes, [0, 0, 0, 0])
        #expect(rig.a.run([0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], unmap) == .good)
        #expect(rig.copy([ExtendedCopy.segment(1, from: 0, to: 20, destination: 1)], from: 1, to: 0) == .good)
        #expect(rig.run(Token.write(tokens[3], [(30, 1)])) == .good)
        let ends = tokens.map { rig.run(Token.write($0, [(0, 1)]), lun: CopyRig.lun1) }
        #expect(ends == [.check(.tokenRevoked), .check(.tokenRevoked), .check(.tokenRevoked), .good])
    }

    @Test("A write in the midst of WRITE USING TOKEN ends it before the changed blocks are written")
    func revokedMeanwhile() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        let token = rig.token([(0, 32)])
        rig.devices[0].ending = .deferred
        let command = Token.write(token, [(0, 32)])
        let tag = rig.a.start(command.cdb, command.list, lun: CopyRig.lun1).tag
        rig.devices[0].completeNext()
        rig.a.loop.turn()
        // Eight blocks are written and eight more are being read.
        rig.b.start(CDB.write10(31, 1), CopyRig.block(0, 0))
        rig.devices[0].completeAll()
        rig.a.loop.turn()
        #expect(rig.a.port.finished[tag] == .check(.tokenRevoked))
        #expect(rig.devices[1].operations == [.write])
        #expect(rig.outcome(6, lun: CopyRig.lun1) == (0x02, 8))
    }

    @Test("A token is made when the writes before it have ended, and those after it wait until it is made")
    func pointInTime() {
        let rig = CopyRig()
        rig.devices[0].ending = .deferred
        rig.b.start(CDB.write10(5, 1), CopyRig.block(1, 0))
        let command = Token.populate([(4, 4)])
        let tag = rig.a.start(command.cdb, command.list).tag
        rig.a.loop.turn()
        let late = rig.b.start(CDB.write10(6, 1), CopyRig.block(1, 0)).tag
        rig.a.loop.turn()
        #expect(rig.a.port.finished[tag] == nil && rig.devices[0].operations == [.write])
        rig.devices[0].completeNext()
        rig.a.loop.turn()
        #expect(rig.a.port.finished[tag] == .good)
        rig.devices[0].completeAll()
        rig.a.loop.turn()
        #expect(rig.b.port.finished[late] == .good)
        rig.devices[0].ending = .inline
        let token = Array(rig.a.run(CopyResults.tokenInformation(5)).data.suffix(512))
        #expect(rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1) == .check(.tokenRevoked))
    }

    @Test("A token that nobody uses expires; use begins its time anew")
    func expiry() {
        let rig = CopyRig()
        let token = rig.token([(100, 1)], timeout: 30)
        for _ in 0..<3 {
            rig.clock.pass(29)
            #expect(rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1) == .good)
        }
        rig.clock.pass(30)
        #expect(rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1) == .check(.tokenExpired))
        let common = rig.token([(100, 1)])
        rig.clock.pass(59)
        #expect(rig.run(Token.write(common, [(0, 1)]), lun: CopyRig.lun1) == .good)
        rig.clock.pass(60)
        #expect(rig.run(Token.write(common, [(0, 1)]), lun: CopyRig.lun1) == .check(.tokenExpired))
    }

    @Test("DEL_TKN deletes the token once it has served, and not when it has not")
    func delete() {
        let rig = CopyRig()
        let token = rig.token([(100, 1)])
        rig.devices[1].failure = { _ in .failed(.checkCondition, .writeError()) }
        let write = Token.write(token, [(0, 1)], flags: 0x02)
        #expect(rig.run(write, lun: CopyRig.lun1) == .check(.writeError()))
        #expect(rig.outcome(6, lun: CopyRig.lun1) == (0x02, 0))
        rig.devices[1].failure = { _ in nil }
        #expect(rig.run(write, lun: CopyRig.lun1) == .good)
        #expect(rig.run(write, lun: CopyRig.lun1) == .check(.tokenDeleted))
    }

    @Test("A token with any byte changed is noticed, and nothing is written; the secret is never the same")
    func forged() {
        let rig = CopyRig()
        let token = rig.token([(100, 1)])
        for byte in Array(0..<24) + [47, 48, 63, 96, 128, 140, 159, 160, 511] {
            var forged = token
            forged[byte] ^= 0x01
            let expected: SenseData =
                switch byte {
                case 0..<4: .unsupportedTokenType
                case 6..<8: .invalidTokenLength
                case 8..<16: .tokenUnknown
                default: .tokenCorrupt
                }
            #expect(rig.run(Token.write(forged, [(0, 1)]), lun: CopyRig.lun1) == .check(expected))
        }
        #expect(rig.devices[1].log.isEmpty)
        // Two tokens for the same blocks have nothing secret in common.
        let other = rig.token([(100, 1)])
        #expect(token[128..<160] != other[128..<160] && token[8..<16] != other[8..<16])
        #expect(token[..<8] == [0x00, 0x80, 0x00, 0x01, 0, 0, 0x01, 0xF8])
        #expect(Array(token[16..<48]) == ExtendedCopy.target(CopyRig.serials[0]))
        #expect(Array(token[48..<64]) == joined(UInt64(0).bytes, UInt64(512).bytes))
    }

    @Test("A unit keeps so many tokens, and one that has ended makes room")
    func tooMany() {
        let rig = CopyRig()
        for index in 0..<TargetLimits.tokenCount { #expect(rig.token([(UInt64(index), 1)]).count == 512) }
        let more = Token.populate([(0, 1)])
        #expect(rig.run(more) == .check(.insufficientResourcesToCreateRODToken))
        #expect(rig.outcome(5).status == 0x02)
        #expect(rig.a.run(CDB.write10(3, 1), CopyRig.block(0, 0)) == .good)
        #expect(rig.run(more) == .good)
    }

    @Test("The source's reservation and readiness are asked for, whoever brings the token")
    func states() {
        let rig = CopyRig()
        let token = rig.token([(100, 1)])
        #expect(ReservationTests.out(rig.b, .register, newKey: 7) == .good)
        #expect(ReservationTests.out(rig.b, .reserve, type: .exclusiveAccess, key: 7) == .good)
        let ended = rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1)
        #expect(ended.sense?.additional == .thirdPartyDeviceFailure)
        #expect(ReservationTests.out(rig.b, .release, type: .exclusiveAccess, key: 7) == .good)
        #expect(rig.a.run([0x1B, 0, 0, 0, 0, 0]) == .good)
        let stopped = rig.run(Token.write(token, [(0, 1)]), lun: CopyRig.lun1)
        #expect(stopped == .check(.initializingCommandRequired))
        #expect(rig.devices[1].log.isEmpty)
    }

    @Test("COPY OPERATION ABORT ends a copy at its next piece")
    func copyOperationAbort() {
        let rig = CopyRig { _, features in features.maximumTransferBlockCount = 8 }
        let token = rig.token([(0, 32)])
        rig.devices[1].ending = .deferred
        let command = Token.write(token, [(0, 32)])
        let tag = rig.a.start(command.cdb, command.list, lun: CopyRig.lun1).tag
        #expect(rig.outcome(6, lun: CopyRig.lun1) == (0x11, 0))
        let abort = joined([0x83, 0x1C], UInt32(6).bytes, [UInt8](repeating: 0, count: 10))
        #expect(rig.a.run(abort, lun: CopyRig.lun1) == .good)
        rig.devices[1].completeAll()
        rig.a.loop.turn()
        #expect(rig.a.port.finished[tag] == .check(.copyOperationTerminated))
        #expect(rig.outcome(6, lun: CopyRig.lun1) == (0x60, 8))
    }
}
