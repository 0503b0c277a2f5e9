// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import EventLoop

/// Asks a running server through its control socket.
public struct ControlClient: Sendable {
    private let path: String

    /// A loaded server answers between two turns of its loops.
    private static let timeoutSeconds = 10
    /// A change may have to open stores.
    private static let changeSeconds = 90
    /// Thousands of sessions fit.
    private static let maximumResponseByteCount = 64 << 20
    private static let chunkByteCount = 64 << 10

    public init(path: String) { self.path = path }

    public func status() throws(Failure) -> StatusReport { try get(ControlRoutes.statusPath) }
    public func sessions() throws(Failure) -> [SessionReport] { try get(ControlRoutes.sessionsPath) }
    public func luns() throws(Failure) -> [LUNReport] { try get(ControlRoutes.lunsPath) }
    public func reservations() throws(Failure) -> [ReservationReport] { try get(ControlRoutes.reservationsPath) }

    /// `isReset`: they begin anew after this.
    public func statistics(isReset: Bool = false) throws(Failure) -> StatisticsReport {
        try isReset
            ? get(ControlRoutes.statisticsResetPath, method: "POST") : get(ControlRoutes.statisticsPath)
    }

    public func portGroups() throws(Failure) -> [PortGroupReport] { try get(ControlRoutes.portGroupsPath) }

    /// The groups that have the state now.
    public func change(_ change: PortGroupChange) throws(Failure) -> [PortGroupReport] {
        let target = "\(ControlRoutes.portGroupsPath)?\(change.query)"
        let response = HTTPClientResponse(try exchange("POST", target))
        if response?.statusCode == HTTPClientResponse.notFound {
            throw .runTime(
                "no \(change.device.map { "device \($0)" } ?? "device") has a port group \(change.group), or alua is "
                    + "off: martlet target port-group lists the groups")
        }
        return try decode(try body(of: response, to: target), from: target)
    }

    /// OpenMetrics text.
    public func metrics() throws(Failure) -> String {
        String(decoding: try body(of: ControlRoutes.metricsPath), as: UTF8.self)
    }

    private func get<Value: Decodable>(_ target: String, method: String = "GET") throws(Failure) -> Value {
        try decode(try body(of: target, method: method), from: target)
    }

    func decode<Value: Decodable>(_ body: [UInt8], from target: String) throws(Failure) -> Value {
        guard let value = JSON.decode(Value.self, from: body) else {
            throw .runTime("the server at \(path) answers \(target) in words of another version: update one of the two")
        }
        return value
    }

    private func body(of target: String, method: String = "GET") throws(Failure) -> [UInt8] {
        try body(of: HTTPClientResponse(try exchange(method, target)), to: target)
    }

    func body(of response: HTTPClientResponse?, to target: String) throws(Failure) -> [UInt8] {
        guard let response, response.isComplete else {
            throw .runTime("what listens at \(path) does not answer as a martlet server does: name another --control")
        }
        guard response.statusCode == HTTPClientResponse.okay else {
            throw .runTime("the server at \(path) answers \(target) with HTTP status \(response.statusCode)")
        }
        return response.body
    }

    /// All bytes of the answer: the server closes after it.
    func exchange(_ method: String, _ target: String, body: [UInt8] = []) throws(Failure) -> [UInt8] {
        guard let address = UnixSocketAddress(path) else {
            throw .usage("--control \"\(path)\" is no path for a socket")
        }
        let seconds = method == "GET" ? Self.timeoutSeconds : Self.changeSeconds
        do throws(SystemError) {
            let socket = try LocalSocket(.stream)
            try socket.setTimeout(seconds: seconds)
            try socket.connect(to: address)
            let head =
                "\(method) \(target) HTTP/1.1\r\nHost: martlet\r\nContent-Length: \(body.count)\r\n"
                + "Connection: close\r\n\r\n"
            try socket.send(Array(head.utf8) + body)
            var bytes: [UInt8] = []
            while bytes.count <= Self.maximumResponseByteCount {
                let chunk = try socket.receive(limit: Self.chunkByteCount)
                if chunk.isEmpty { break }
                bytes += chunk
            }
            return bytes
        } catch {
            throw explain(error, after: seconds)
        }
    }

    private func explain(_ error: SystemError, after seconds: Int) -> Failure {
        switch error.code {
        case ENOENT, ECONNREFUSED:
            .runTime(
                "no server listens at \(path): start one with --control \(path), or name its socket with --control")
        case EACCES: .runTime("no permission for \(path): ask as the user that runs the server")
        case EAGAIN: .runTime("the server at \(path) has not answered for \(seconds) seconds")
        default: .runTime("the server at \(path) cannot be asked: \(error)")
        }
    }
}
