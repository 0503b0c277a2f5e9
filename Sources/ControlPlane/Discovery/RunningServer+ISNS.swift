// SPDX-License-Identifier: Apache-2.0

internal import EventLoop
internal import Logging
internal import Synchronization
internal import Transport

extension RunningServer {
    /// Begins to register with the name server that the configuration names, if it names one.
    func register(_ configuration: Configuration, logger: Logger) {
        guard let settings = configuration.isns else { return }
        do throws(SystemError) {
            let client = try ISNSClient(
                settings, sources: sources(configuration), diagnostics: Log.diagnostics(logger))
            nameService.withLock { $0 = client }
        } catch {
            logger.error("targets are not registered with the iSNS server \(settings.server): \(error)")
        }
    }

    /// What is served has changed: the name server is told. Returns at once.
    func registerAgain(_ configuration: Configuration) {
        nameService.withLock { $0 }?.update(sources(configuration))
    }

    private func sources(_ configuration: Configuration) -> ISNSSources {
        ISNSSources(
            targets: configuration.targets.map(\.name),
            portals: portals.enumerated().map { index, bound in
                ISNSSources.Portal(
                    bound: bound,
                    advertised: configuration.portals.indices.contains(index)
                        ? configuration.portals[index].advertise : nil,
                    groupTag: configuration.portals.indices.contains(index)
                        ? configuration.portals[index].settings.portalGroupTag : PortalSettings.defaultPortalGroupTag)
            },
            portalGroupTags: Dictionary(
                configuration.targets.filter { !$0.access.portalGroupTags.isEmpty }.map {
                    ($0.name, $0.access.portalGroupTags)
                }
            ) { first, _ in first })
    }
}
