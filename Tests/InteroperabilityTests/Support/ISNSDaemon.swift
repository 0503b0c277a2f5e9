// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Debian's open-isns-server in a private folder, on loopback, without authentication. It needs no root.
final class ISNSDaemon {
    private static let startLimitSeconds = 20.0

    let port: UInt16
    private let folder: TemporaryFolder
    private var process: ChildProcess?

    init(periodSeconds: Int = 60) throws {
        folder = try TemporaryFolder()
        port = try FakePortal.freePort()
        // In memory: a server that starts again knows nothing.
        let server = """
            HostName = localhost
            SourceName = iqn.2026-11.org.martlet:isnsd
            BindAddress = 127.0.0.1:\(port)
            PIDFile = \(folder.file("pid"))
            ControlSocket = \(folder.file("socket"))
            Security = 0
            SLPRegister = 0
            DefaultDiscoveryDomain = 1
            RegistrationPeriod = \(periodSeconds)
            ESIMinInterval = 1s
            ESIMaxInterval = \(periodSeconds / 2)s

            """
        let client = """
            HostName = localhost
            SourceName = iqn.2026-11.org.martlet:isnsadm
            ServerAddress = 127.0.0.1:\(port)
            Security = 0

            """
        try folder.write(server.utf8, to: "isnsd.conf")
        try folder.write(client.utf8, to: "isnsadm.conf")
        try start()
        // Who asks must be registered.
        try administer("--register", "initiator", "portal=127.0.0.1:1")
    }

    /// Starts the server, and returns when it answers.
    func start() throws {
        guard let path = Program.isnsd.path else { throw HarnessError("isnsd is not installed") }
        let process = try ChildProcess(
            path, ["-f", "-4", "-c", folder.file("isnsd.conf")], errorPath: folder.file("log"))
        self.process = process
        let deadline = Date(timeIntervalSinceNow: Self.startLimitSeconds)
        while (try? WireConnection(host: "127.0.0.1", port: port)) == nil {
            guard deadline.timeIntervalSinceNow > 0 else { throw HarnessError("isnsd: \(process.standardError)") }
        }
    }

    func stop() throws {
        process?.send(SIGTERM)
        _ = try process?.wait(limitSeconds: Self.startLimitSeconds)
        process = nil
    }

    deinit { try? stop() }

    @discardableResult
    func administer(_ arguments: String...) throws -> String {
        let result = try Program.isnsadm.run(["-c", folder.file("isnsadm.conf")] + arguments, limitSeconds: 30)
        guard result.succeeded else { throw HarnessError("isnsadm \(arguments): \(result.summary)") }
        return result.output
    }

    /// Asks until the answer is as it is to be; the last answer.
    @discardableResult
    func wait(
        for kind: String, limitSeconds: Double = 20, until isEnough: (String) -> Bool
    ) throws -> String {
        let deadline = Date(timeIntervalSinceNow: limitSeconds)
        while true {
            let answer = (try? administer("--list", kind)) ?? ""
            if isEnough(answer) { return answer }
            guard deadline.timeIntervalSinceNow > 0 else { throw HarnessError("isnsd has \(kind): \(answer)") }
            // Neither a busy wait.
            _ = poll(nil, 0, 50)
        }
    }
}
