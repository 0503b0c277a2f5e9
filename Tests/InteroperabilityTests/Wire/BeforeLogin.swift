// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

/// What a peer may send instead of a login.
enum BeforeLogin: String, CaseIterable, CustomTestStringConvertible {
    case nothing = "connects and leaves"
    case garbage = "garbage"
    case zeros = "zeros"
    case ones = "ones"
    case http = "HTTP"
    case halfHeader = "half a header"
    case halfData = "half a data segment"
    case longSegment = "a data segment length of 16 MiB - 1"
    case longAdditionalHeader = "255 words of additional header segments"
    case command = "a SCSI Command"
    case dataOut = "a Data-Out"
    case text = "a Text Request"
    case nop = "a NOP-Out"
    case logout = "a Logout Request"
    case wrongVersion = "a version from the future"
    case unknownTarget = "a target that is not there"
    case noInitiator = "a login without InitiatorName"
    case noTarget = "a login without TargetName"
    case strangeStage = "stage 2, which is reserved"
    case backwards = "a transit from stage 1 to stage 0"
    case noEqualSign = "text without an equal sign"
    case noTerminator = "text without its terminating null"
    case emptyKey = "an empty key"
    case longKey = "a key of 100 bytes"
    case manyKeys = "a thousand keys"
    case twice = "the same key twice"
    case unknownSession = "a TSIH of no session"

    var testDescription: String { rawValue }

    /// Whether a target has to end the connection, by itself and in good time.
    var mustBeClosed: Bool {
        switch self {
        case .nothing, .halfHeader, .halfData, .longKey, .manyKeys: false
        case .garbage, .zeros, .ones, .http, .longSegment, .longAdditionalHeader, .command, .dataOut, .text, .nop,
            .logout, .wrongVersion, .unknownTarget, .noInitiator, .noTarget, .strangeStage, .backwards, .noEqualSign,
            .noTerminator, .emptyKey, .twice, .unknownSession:
            true
        }
    }

    func bytes(target: String) -> [UInt8] {
        let keys = WireSession.loginKeys(target: target, WireSession.Options())
        switch self {
        case .nothing: return []
        case .garbage:
            var random = SplitMix64(seed: Interoperability.seed)
            return (0..<8192).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case .zeros: return [UInt8](repeating: 0, count: 8192)
        case .ones: return [UInt8](repeating: 0xFF, count: 8192)
        case .http:
            let cookie = String(repeating: "c", count: 1000)
            return [UInt8]("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \(cookie)\r\n\r\n".utf8)
        case .halfHeader: return [UInt8](Self.login(keys).encoded().prefix(20))
        case .halfData: return [UInt8](Self.login(keys).encoded().prefix(100))
        case .longSegment:
            var bytes = Self.login(keys).encoded()
            bytes.replaceSubrange(5..<8, with: [0xFF, 0xFF, 0xFF])
            return bytes + [UInt8](repeating: 0x41, count: 1 << 20)
        case .longAdditionalHeader:
            var bytes = Self.login(keys).encoded()
            bytes[4] = 0xFF
            return bytes + [UInt8](repeating: 0x41, count: 2048)
        case .command: return WirePDU(opcode: WirePDU.Opcode.scsiCommand, flags: 0x81).encoded()
        case .dataOut: return WirePDU(opcode: WirePDU.Opcode.dataOut, data: [UInt8](repeating: 1, count: 512)).encoded()
        case .text: return WirePDU(opcode: WirePDU.Opcode.textRequest, data: .text([("SendTargets", "All")])).encoded()
        case .nop: return WirePDU(opcode: WirePDU.Opcode.nopOut | WirePDU.immediate).encoded()
        case .logout: return WirePDU(opcode: WirePDU.Opcode.logoutRequest | WirePDU.immediate).encoded()
        case .wrongVersion:
            var request = Self.login(keys)
            request.header[2] = 9
            request.header[3] = 9
            return request.encoded()
        case .unknownTarget:
            return Self.login(Self.replacing(keys, "TargetName", "iqn.2026-11.org.martlet:no")).encoded()
        case .noInitiator: return Self.login(Self.replacing(keys, "InitiatorName", nil)).encoded()
        case .noTarget: return Self.login(Self.replacing(keys, "TargetName", nil)).encoded()
        case .strangeStage: return WireSession.loginRequest(keys, flags: 0x8B).encoded()
        case .backwards: return WireSession.loginRequest(keys, flags: 0x84).encoded()
        case .noEqualSign: return Self.login(keys, then: "InitiatorAlias\0").encoded()
        case .noTerminator: return Self.login(keys, then: "InitiatorAlias=cut").encoded()
        case .emptyKey: return Self.login(keys, then: "=value\0").encoded()
        case .longKey: return Self.login(keys + [(String(repeating: "K", count: 100), "1")]).encoded()
        case .manyKeys: return Self.login(keys + (0..<1000).map { ("X-\($0)", "1") }).encoded()
        case .twice: return Self.login(keys + [("MaxBurstLength", "512"), ("MaxBurstLength", "1024")]).encoded()
        case .unknownSession:
            var request = Self.login(keys)
            request.header[14] = 0x77
            return request.encoded()
        }
    }

    private static func login(_ keys: [(String, String)], then tail: String = "") -> WirePDU {
        var request = WireSession.loginRequest(keys)
        request.data += tail.utf8
        return request
    }

    private static func replacing(
        _ keys: [(String, String)], _ key: String, _ value: String?
    ) -> [(String, String)] {
        keys.compactMap { pair in
            if pair.0 != key { return pair }
            return value.map { (key, $0) }
        }
    }
}
