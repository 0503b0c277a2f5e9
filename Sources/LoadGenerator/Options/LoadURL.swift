// SPDX-License-Identifier: Apache-2.0

internal import SCSI

/// Which logical unit a load is for: `iscsi://HOST[:PORT]/IQN/LUN`, the host in brackets when it is an IPv6 address.
package struct LoadURL: Equatable, Sendable {
    /// A name or a numeric address, without brackets.
    package let host: String
    package let port: UInt16
    package let targetName: String
    package let lun: Int

    /// The port that IANA gave iSCSI.
    package static let defaultPort: UInt16 = 3260
    /// The largest LUN of single-level flat space addressing (SAM-5 4.7).
    package static let largestLUN = 0x3FFF

    private static let scheme = "iscsi://"
    private static let form = "write iscsi://HOST[:PORT]/IQN/LUN"

    package init(_ text: String) throws(LoadFailure) {
        guard text.hasPrefix(Self.scheme) else {
            throw .usage("\"\(text)\" does not begin with \(Self.scheme): \(Self.form)")
        }
        let rest = text.dropFirst(Self.scheme.count)
        let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 else {
            throw .usage("\"\(text)\" is not a portal, a target and a LUN between slashes: \(Self.form)")
        }
        guard !parts[0].contains("@") else {
            throw .usage("\"\(text)\" holds a user name, but a bench logs in without authentication: \(Self.form)")
        }
        (host, port) = try Self.portal(parts[0], of: text)
        targetName = String(parts[1])
        if let defect = ISCSINodeName.defect(of: targetName) {
            throw .usage("the target \"\(targetName)\" \(defect)")
        }
        guard let lun = Int(parts[2]), parts[2].allSatisfy(\.isASCIIDigit), lun <= Self.largestLUN else {
            throw .usage("the LUN \"\(parts[2])\" is not a number from 0 to \(Self.largestLUN)")
        }
        self.lun = lun
    }

    private static func portal(_ text: Substring, of url: String) throws(LoadFailure) -> (String, UInt16) {
        var host = text
        var port = Substring()
        var hasPort = false
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw .usage("\"\(url)\" opens a bracket that it does not close: \(form)")
            }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else {
                throw .usage("\"\(url)\" has \"\(rest)\" behind its address, where a colon and a port may stand")
            }
            hasPort = !rest.isEmpty
            port = rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            hasPort = true
            guard !port.contains(":") else {
                throw .usage("\"\(url)\" has an IPv6 address without brackets: write [ADDRESS]:PORT")
            }
        }
        guard !host.isEmpty else { throw .usage("\"\(url)\" names no host: \(form)") }
        guard hasPort else { return (String(host), defaultPort) }
        guard let number = UInt16(port), number > 0, port.allSatisfy(\.isASCIIDigit) else {
            throw .usage("the port \"\(port)\" is not a number from 1 to 65535")
        }
        return (String(host), number)
    }

    /// The portal as RFC 7143 13.8 writes it.
    package var portal: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension LoadURL: CustomStringConvertible {
    package var description: String { "\(Self.scheme)\(portal)/\(targetName)/\(lun)" }
}

/// What iSCSI names have in common (RFC 7143 4.2.7). Targets in the field stretch the rest.
enum ISCSINodeName {
    private static let maximumByteCount = 223
    private static let types = ["iqn.", "eui.", "naa."]

    /// Nil for a usable name; otherwise the end of a sentence.
    static func defect(of name: String) -> String? {
        guard types.contains(where: { name.hasPrefix($0) && name.count > $0.count }) else {
            return "is no iSCSI name: one begins with iqn., eui. or naa., such as iqn.2026-11.org.example:disk0"
        }
        guard name.utf8.count <= maximumByteCount else {
            return "is longer than the \(maximumByteCount) bytes that an iSCSI name may have"
        }
        guard name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            return "holds a blank or a control character, which no iSCSI name may"
        }
        return nil
    }
}

extension Character {
    /// 0 to 9: number parsers take a sign besides.
    var isASCIIDigit: Bool { isASCII && isNumber }
}
