// SPDX-License-Identifier: Apache-2.0
import CLibiscsi
import Testing

/// A way in which an initiator may want to speak: what it negotiates, and which implementation speaks.
enum Dialect: String, CaseIterable, CustomTestStringConvertible {
    case libiscsi = "libiscsi as it comes"
    case libiscsiNoImmediate = "libiscsi, ImmediateData=No"
    case libiscsiInitialR2T = "libiscsi, InitialR2T=Yes"
    case libiscsiSolicitedOnly = "libiscsi, ImmediateData=No and InitialR2T=Yes"
    case libiscsiHeaderDigest = "libiscsi, HeaderDigest=CRC32C"
    case wire = "own initiator"
    case wireDataDigest = "own initiator, DataDigest=CRC32C"
    case wireBothDigests = "own initiator, both digests"
    case wireSmallBursts = "own initiator, FirstBurstLength=1024 and MaxBurstLength=4096"
    case wireOddBursts = "own initiator, FirstBurstLength=513 and MaxBurstLength=1027"
    case wireSmallSegments = "own initiator, MaxRecvDataSegmentLength=512"
    case wireOneR2T = "own initiator, MaxOutstandingR2T=1, solicited data only"
    case wireEverything = "own initiator, both digests, small bursts, solicited data only"

    var testDescription: String { rawValue }

    /// Logs in; `number` tells the sessions of one test apart.
    func connect(_ url: LogicalUnitURL, number: Int = 1) throws -> any SCSIClient {
        switch self {
        case .libiscsi: try initiator(url, number) { _ in }
        case .libiscsiNoImmediate: try initiator(url, number) { $0.immediateData = false }
        case .libiscsiInitialR2T: try initiator(url, number) { $0.initialR2T = true }
        case .libiscsiSolicitedOnly:
            try initiator(url, number) {
                $0.immediateData = false
                $0.initialR2T = true
            }
        case .libiscsiHeaderDigest: try initiator(url, number) { $0.headerDigest = ISCSI_HEADER_DIGEST_CRC32C }
        case .wire: try session(url, number) { _ in }
        case .wireDataDigest: try session(url, number) { $0.dataDigest = "CRC32C" }
        case .wireBothDigests:
            try session(url, number) {
                $0.headerDigest = "CRC32C,None"
                $0.dataDigest = "CRC32C,None"
            }
        case .wireSmallBursts:
            try session(url, number) {
                $0.firstBurstLength = 1024
                $0.maxBurstLength = 4096
            }
        case .wireOddBursts:
            try session(url, number) {
                $0.firstBurstLength = 513
                $0.maxBurstLength = 1027
            }
        case .wireSmallSegments: try session(url, number) { $0.maxRecvDataSegmentLength = 512 }
        case .wireOneR2T:
            try session(url, number) {
                $0.maxOutstandingR2T = 1
                $0.initialR2T = true
                $0.immediateData = false
            }
        case .wireEverything:
            try session(url, number) {
                $0.headerDigest = "CRC32C"
                $0.dataDigest = "CRC32C"
                $0.firstBurstLength = 1024
                $0.maxBurstLength = 8192
                $0.initialR2T = true
                $0.immediateData = false
            }
        }
    }

    private func initiator(
        _ url: LogicalUnitURL, _ number: Int, _ change: (inout Initiator.Options) -> Void
    ) throws -> Initiator {
        var options = Initiator.Options()
        options.name += "-\(number)"
        change(&options)
        return try Initiator(url, options)
    }

    private func session(
        _ url: LogicalUnitURL, _ number: Int, _ change: (inout WireSession.Options) -> Void
    ) throws -> WireSession {
        var options = WireSession.Options()
        options.qualifier = UInt16(number)
        change(&options)
        return try WireSession(url, options)
    }
}
