// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import Synchronization

/// What happens inside handler_init: the handler registers, and is looked at before any of its functions is called.
///
/// One shared object is initialised at a time.
struct HandlerRegistration {
    /// What tcmur_register_handler returns for a handler that is not taken.
    static let refused: Int32 = -1

    /// Structures that were taken, in the order in which they came. Addresses, for they stay in use for ever.
    private(set) var taken: [UInt] = []
    /// Why the first that was not taken was not.
    private(set) var objection: HandlerRefusal.Reason?
    /// Subtypes that other files have, and which.
    private let occupied: [String: String]
    /// What speaks against a handler that reads and writes without worker threads.
    private let objectionToAsynchronous: HandlerRefusal.Reason?

    private static let current = Mutex<HandlerRegistration?>(nil)
    private static let gate = Mutex<Void>(())

    /// Runs `handlerInit`, and tells what it returned and what was registered meanwhile.
    static func during(
        occupied: [String: String], objectionToAsynchronous: HandlerRefusal.Reason?, _ handlerInit: () -> Int32
    ) -> (result: Int32, registration: HandlerRegistration) {
        gate.withLock { _ in
            let begun = HandlerRegistration(occupied, objectionToAsynchronous)
            current.withLock { $0 = begun }
            let result = handlerInit()
            let registration = current.withLock { slot in
                defer { slot = nil }
                return slot ?? begun
            }
            return (result, registration)
        }
    }

    private init(_ occupied: [String: String], _ objectionToAsynchronous: HandlerRefusal.Reason?) {
        self.occupied = occupied
        self.objectionToAsynchronous = objectionToAsynchronous
    }

    /// tcmur_register_handler. `handler` is not NULL; what it points to is checked here.
    static func register(_ handler: UnsafeMutablePointer<tcmur_handler>) -> Int32 {
        let mayRun = current.withLock { registration in unsafe registration?.admits(handler) ?? false }
        guard mayRun else { return refused }
        // Outside the lock: init is the handler's code.
        let result = unsafe handler.pointee.`init`?() ?? 0
        current.withLock { registration in
            if result == 0 {
                registration?.taken.append(UInt(bitPattern: handler))
            } else {
                registration?.object(.initializationFailed(result))
            }
        }
        return result
    }

    private mutating func admits(_ handler: UnsafeMutablePointer<tcmur_handler>) -> Bool {
        if let reason = unsafe HandlerStructure.objection(to: UnsafeRawPointer(handler)) {
            object(reason)
            return false
        }
        if let reason = objectionToAsynchronous, unsafe handler.pointee.nr_threads == 0 && handler.pointee.read != nil {
            object(reason)
            return false
        }
        // Found readable and terminated by the check.
        let subtype = unsafe String(cString: handler.pointee.subtype)
        if let other = occupied[subtype] {
            object(.hidden(subtype: subtype, by: other))
            return false
        }
        return true
    }

    private mutating func object(_ reason: HandlerRefusal.Reason) {
        if objection == nil { objection = reason }
    }
}
