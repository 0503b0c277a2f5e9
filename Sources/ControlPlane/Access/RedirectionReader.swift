// SPDX-License-Identifier: Apache-2.0

internal import Transport

/// Reads `redirect`: `{to: "ADDR:PORT[,TAG]", permanent: yes}`; `to` may be a list of them.
enum RedirectionReader {
    private static let keys = ["to", "permanent"]
    /// As many as fit into a login response with room to spare.
    private static let maximumAddressCount = 16
    /// Bytes of a host's name (RFC 1035 2.3.4).
    private static let maximumHostByteCount = 253

    static func read(_ value: YAMLValue) throws(Failure) -> Redirection {
        let entries = try value.entries(known: keys)
        guard let to = entries["to"] else {
            throw value.failure("\(value.path) needs to: \"ADDR:PORT\", where initiators are to go")
        }
        var values = [to]
        if to.isList { values = try to.list() }
        guard (1...maximumAddressCount).contains(values.count) else {
            throw to.failure("\(to.path) names \(values.count) addresses: name 1 to \(maximumAddressCount)")
        }
        var addresses: [String] = []
        for each in values { addresses.append(try readAddress(each)) }
        return Redirection(addresses: addresses, isPermanent: try entries["permanent"]?.truth() ?? false)
    }

    /// With its port, also where the operator leaves it to the default.
    private static func readAddress(_ value: YAMLValue) throws(Failure) -> String {
        let text = try value.text()
        let parts = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let address = address(parts[0]) else {
            throw value.failure(
                "\"\(text)\" is no address to go to: write one such as \"192.0.2.1:3260\", \"[2001:db8::1]:3260\" or "
                    + "\"san.example.org:3260\", and perhaps a comma and a portal group tag")
        }
        guard parts.count > 1 else { return address }
        guard let tag = UInt16(parts[1]), tag > 0, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw value.failure("\"\(text)\": the tag after the comma must be a number from 1 to \(UInt16.max)")
        }
        return "\(address),\(tag)"
    }

    private static func address(_ text: String) -> String? {
        if let numeric = PortalAddress(text) {
            return numeric.port == 0 || numeric.isWildcard ? nil : numeric.description
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let port = parts.count > 1 ? UInt16(parts[1]) : PortalAddress.defaultPort
        guard isHostName(parts[0]), let port, port > 0 else { return nil }
        return "\(parts[0]):\(port)"
    }

    /// Labels of letters, digits and dashes (RFC 1123 2.1), with a letter somewhere: not a number that is wrong.
    private static func isHostName(_ text: Substring) -> Bool {
        guard (1...maximumHostByteCount).contains(text.utf8.count), text.contains(where: \.isLetter) else {
            return false
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        }
    }

    /// An initiator that is sent to a place which sends it on in the same way would go on for ever.
    static func check(
        _ redirection: Redirection, _ value: YAMLValue, portals: [Configuration.Portal]
    ) throws(Failure) {
        let own = Set(portals.flatMap { [$0.listen, $0.advertise].compactMap { $0?.description } })
        for address in redirection.addresses where own.contains(String(address.prefix { $0 != "," })) {
            throw value.failure(
                "\(address) is a portal of this server, which would send the initiator there again, for ever: name "
                    + "another server")
        }
    }
}
