-- Orthanc sends each radiograph that comes to it on to the node, and nothing that came from the node itself.

local RADIOGRAPHS = { CR = true, DX = true }

function OnStoredInstance(instance, tags, metadata, origin)
  local fromTheNode = origin["RequestOrigin"] == "DicomProtocol" and origin["RemoteAet"] == "PAXNODE"
  if RADIOGRAPHS[tags["Modality"]] and not fromTheNode then
    SendToModality(instance, "paxnode")
  end
end
