// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import SCSI
internal import TargetCore

/// A CDB that the host itself asks a device, in the same way as an initiator's, and waits for.
///
/// It stays for the life of the process, as all requests do: a handler that completes it late, or twice, finds memory
/// that is still a request's. A device has two of them.
@safe
final class OwnRequest: OwnerLoop, @unchecked Sendable {
    // Guarded by `condition`, but for the request itself, which has one user at a time.
    private let condition = ThreadCondition()
    private var hasEnded = false
    private var request: BlockRequest!
    private let memory: UnsafeMutableRawBufferPointer

    private static let pageByteCount = 4096

    /// `byteCount`: how much memory the handler is given, a page at most.
    init(_ cdb: CommandDescriptorBlock, byteCount: Int = 0) {
        unsafe memory = .allocate(byteCount: Self.pageByteCount, alignment: Self.pageByteCount)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        request = BlockRequest(loop: self)
        request.operation = .passthrough
        request.cdb = cdb
        unsafe request.buffer = UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
    }

    /// The outcome; nil when there is none after `seconds`.
    func run(on device: HandlerDevice, withinSeconds seconds: UInt64?) -> BlockOutcome? {
        unsafe _ = Unmanaged.passRetained(self)
        if request.start(on: device) { return request.outcome }
        device.submissionsEnded()
        let deadline = seconds.map { clinux_monotonic_nanoseconds() + $0 * 1_000_000_000 }
        return condition.withLock {
            while !hasEnded {
                guard let deadline else {
                    condition.wait()
                    continue
                }
                if clinux_monotonic_nanoseconds() >= deadline { return nil }
                condition.wait(until: deadline)
            }
            return request.outcome
        }
    }

    /// The first byte of the data, once there is an outcome.
    var firstByte: UInt8 { unsafe memory[0] }

    func post(_ request: BlockRequest) {
        condition.withLock {
            hasEnded = true
            condition.broadcast()
        }
    }

    func perform(_ work: @escaping @Sendable () -> Void) { work() }
}

// What the host asks a device that answers every CDB itself.
extension HandlerDevice {
    /// Long enough for a handler that looks at its store first.
    private static let inquirySeconds: UInt64 = 10
    private static let standardInquiryByteCount = 36

    /// PERIPHERAL DEVICE TYPE as the handler's INQUIRY data have it (SPC-4 6.6.2): it decides what READ and its like
    /// mean. Nil when the handler does not say.
    func askDeviceType() -> UInt8? {
        let inquiry = OwnRequest(
            [0x12, 0, 0, 0, UInt8(Self.standardInquiryByteCount), 0], byteCount: Self.standardInquiryByteCount)
        guard let outcome = inquiry.run(on: self, withinSeconds: Self.inquirySeconds) else {
            diagnostics.report(
                .warning,
                "\(configString): the handler \(handler.subtype) did not answer INQUIRY within \(Self.inquirySeconds) s: "
                    + "its device type is not known")
            return nil
        }
        return outcome == .good ? inquiry.firstByte & 0x1F : nil
    }

    /// SYNCHRONIZE CACHE(10), as the last command: the handler has no flush callout to ask. A handler that does not
    /// know the command has nothing to flush.
    func flushByCommand() {
        let flush = OwnRequest([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        guard let outcome = flush.run(on: self, withinSeconds: nil) else { return }
        switch outcome {
        case .good, .notHandled: return
        case .failed(_, let sense) where sense?.key == .illegalRequest: return
        case .failed, .failedWithStoreSense, .miscompare:
            diagnostics.report(.error, "\(configString): the last flush failed (\(outcome)): writes may be lost")
        }
    }
}
