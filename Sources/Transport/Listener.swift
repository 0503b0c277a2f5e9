// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import TargetCore

/// A portal's listening socket: accepts connections and deals them out to the loops in turn.
final class Listener: EventSource {
    /// Connections accepted in one turn of the loop, so that a storm of them does not hold up those that work.
    private static let acceptsPerTurn = 64
    /// Wait after the process ran out of descriptors.
    private static let pauseMilliseconds: UInt64 = 100

    private let socket: Socket
    private let context: LoopContext
    private let deal: (CInt) -> Void
    private var registration: EventLoop.Registration?

    init(socket: Socket, context: LoopContext, deal: @escaping (CInt) -> Void) {
        self.socket = socket
        self.context = context
        self.deal = deal
    }

    func start() throws(SystemError) {
        registration = try context.loop.register(socket.descriptor, interest: .readable, source: self)
    }

    func stop() {
        if let registration { context.loop.remove(registration) }
        registration = nil
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<Self.acceptsPerTurn {
            do throws(SystemError) {
                guard let descriptor = try socket.accept() else { return }
                deal(descriptor)
            } catch {
                context.diagnostics.report(
                    .warning, "cannot accept a connection: \(error); trying again in \(Self.pauseMilliseconds) ms")
                pause()
                return
            }
        }
    }

    private func pause() {
        guard let registration else { return }
        try? context.loop.setInterest([], of: registration)
        _ = context.loop.schedule(afterMilliseconds: Self.pauseMilliseconds) { [weak self] in
            guard let self, let registration = self.registration else { return }
            try? self.context.loop.setInterest(.readable, of: registration)
        }
    }
}
